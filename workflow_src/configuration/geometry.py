"""The keys under ``geometry:`` of a rig: the bearing or the gears whose faults are sought."""

from __future__ import annotations

import math

from pydantic import (
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from workflow_src.configuration.base import ConfigError, StrictModel


class Bearing(StrictModel):
    """A rolling-element bearing; both diameters in the same unit, whatever it is."""

    elements: int = Field(ge=3, description="Rolling elements in one row.", examples=[9])
    element_diameter: float = Field(
        gt=0,
        description="Diameter of a rolling element, in the unit of the pitch.",
        examples=[7.94],
    )
    pitch_diameter: float = Field(
        gt=0, description="Diameter of the circle of their centres.", examples=[39.04]
    )
    contact_angle_deg: float = Field(
        0.0, ge=0, lt=90, description="Contact angle in degrees.", examples=[15.0]
    )

    @model_validator(mode="after")
    def _fits(self) -> Bearing:
        element, pitch = self.element_diameter, self.pitch_diameter
        if element >= pitch:
            swapped = {"element_diameter": pitch, "pitch_diameter": element}
            raise ConfigError("A rolling element is as large as the pitch circle.", put=swapped)
        most = math.floor(math.pi / math.asin(element / pitch))
        if self.elements > most:
            what = f"{self.elements} elements do not fit on the pitch circle, {most} do."
            raise ConfigError(what, put={"elements": most})
        return self


class BearingOrders(StrictModel):
    """Fault frequencies of a bearing as published, over the shaft's frequency."""

    bpfo: float = Field(gt=0, description="Ball pass frequency, outer race.", examples=[3.5848])
    bpfi: float = Field(gt=0, description="Ball pass frequency, inner race.", examples=[5.4152])
    bsf: float | None = Field(
        None,
        gt=0,
        description="Ball spin frequency. A defect of a ball strikes at twice it; some tables "
        "print that.",
        examples=[2.357],
    )
    ftf: float | None = Field(
        None, gt=0, description="Fundamental train (cage) frequency.", examples=[0.39828]
    )

    @model_validator(mode="after")
    def _outer_is_slower(self) -> BearingOrders:
        if self.bpfo >= self.bpfi:
            swapped = {"bpfo": self.bpfi, "bpfi": self.bpfo}
            raise ConfigError(
                "The outer race is passed less often than the inner one.", put=swapped
            )
        return self


class Gear(StrictModel):
    """One stage of gears; the pinion is on the shaft whose speed is known."""

    pinion_teeth: int = Field(ge=3, description="Teeth of the pinion.", examples=[21])
    wheel_teeth: int = Field(ge=3, description="Teeth of the wheel.", examples=[50])


class Geometry(StrictModel):
    """What decides how often a fault repeats itself in a turn of the shaft."""

    bearing: Bearing | None = Field(
        None,
        description="Rolling-element bearing, its inner ring on the shaft.",
        examples=[{"elements": 9, "element_diameter": 7.94, "pitch_diameter": 39.04}],
    )
    orders: BearingOrders | None = Field(
        None,
        description="Instead of `bearing`: its fault orders.",
        examples=[{"bpfo": 3.5848, "bpfi": 5.4152}],
    )
    gear: Gear | None = Field(
        None, description="One stage of gears.", examples=[{"pinion_teeth": 21, "wheel_teeth": 50}]
    )
    origin: str = Field(
        "",
        description="Where this is known from; printed on the rig's page.",
        examples=["SKF 6205-2RS JEM, Case Western Reserve University Bearing Data Center"],
    )

    assumed: bool = Field(
        False,
        strict=True,
        description="It is a guess: tables say so beside every score that depends on it, and "
        "average none of them.",
        examples=[True],
    )

    @model_serializer(mode="wrap")
    def _certain_says_nothing(self, dump: SerializerFunctionWrapHandler) -> dict[str, JsonValue]:
        values: dict[str, JsonValue] = dump(self)
        if not self.assumed:
            values.pop("assumed", None)
        return values

    @model_validator(mode="after")
    def _one_bearing(self) -> Geometry:
        if self.bearing is not None and self.orders is not None:
            raise ConfigError("Give either `bearing` or `orders`, and not both.", drop="orders")
        if self.bearing is None and self.orders is None and self.gear is None:
            what = "A geometry needs `bearing`, `orders` or `gear`."
            raise ConfigError(what, put={"orders": {"bpfo": 3.5848, "bpfi": 5.4152}})
        return self
