"""Small valid texts of YAML that hold what mutants need: lists of units, lookups, quoted names."""

from __future__ import annotations

from .shipped import Source

_RIG = """source: folder
unit: m/s2
amplitude_comparable: false
folder:
  path: my_rig
  files: "{size}_{unit}_{speed:d}rpm_{n:d}.csv"
  rate_hz: 25600
  time: {from: 'n', first: 1, step_s: 10}
  ends_in_failure: ["007", "010"]
  channels: [0, 2]
  channel_kinds: [vibration, current]
  fields:
    unit_id: "{unit}"
    condition: "{speed}rpm"
    run_id: "{unit}"
    fault: {from: size, values: {"000": normal, "007": ball, "014": inner, "1_1": "1.10"}}
    shaft: {from: speed, values: {600: slow, 800: fast}}
    place: "1"
    build: "2024-05-01"
"""
_GEOMETRY = """source: folder
unit: g
amplitude_comparable: true
description: "A rig: with a colon"
geometry:
  bearing: {elements: 9, element_diameter: 7.94, pitch_diameter: 39.04}
  origin: the maker's catalogue
folder:
  path: "007"
  files: "Data/{code}_{speed:d}/{part:d}.mat"
  array: "*_DE_time"
  samples_along: columns
  time_column: 0
  rate_hz: unknown
  encoding: latin-1
  header: absent
  fields: {unit_id: "{code}", condition: "{speed}rpm", run_id: "{code}_{speed}", load: "0"}
"""
_DATASET = """rig: bearing_sim
label: "010"
note: units held out
span: {window: 1024, horizon: 64, stride: 512, per_recording: 16}
select:
  speed_rpm: [600, 800, "0900"]
  day: ["2024-05-01", 2.5]
split:
  strategy: unit
  test: {unit_id: ["010", "011", "1_1", "no"], size: ["1.10", "1e3"]}
  train: {unit_id: ["001", "002"]}
  validation: {strategy: unit, select: {unit_id: ["003", "12:30"]}}
  seed: 7
unsupported_tasks: drop
training: {epochs: 5, learning_rate: 0.001}
"""
_FOLDS = """rig: bearing_sim
span:
  window: 256
  horizon: 32
split:
  strategy: unit
  folds:
    - test: {unit_id: ["01", "02"]}
    - test: {unit_id: ["03"]}
      train: {unit_id: ["04", "05"]}
  gap: 0
amplitude: relative
test_noise_db: -5
"""
_STUDY = """study: fuzz_1
datasets: [bearing_sim, gearbox_sim]
models: [dlinear, trivial]
task_sets: [all]
seeds: [42, 43, 100]
include: ["*/dlinear/*", "*/trivial/*"]
training:
  epochs: 10
  batch_size: 64
  learning_rate: 5.0e-4
  weight_decay: 0.01
  precision: fp32
overrides:
  - cells: "*/dlinear/*"
    training: {epochs: 5}
  - cells: "*/dlinear/*/42"
    model: {depth: 1}
request: {memory_mb: 8000, runtime_minutes: 30, checkpoint_minutes: 2.5}
requests:
  - {cells: "bearing_sim/*", memory_mb: 16000}
data_root: "010"
"""
_MODEL = """backbone: patchtst
label: "1.10"
width: 64
depth: 2
heads: 4
feed_forward: 128
patch_length: 16
patch_count: 8
"""
_SITE = """cpu:
  partition: "0100"
  account: "12345"
  qos: normal
  extra: --no-requeue
  modules: [cuda/12.6, "python/3.10"]
"""

STUDIES = [
    Source("rig", "fuzz_rig", _RIG, "a rig of specimens in numbers"),
    Source("rig", "fuzz_rig", _GEOMETRY, "a rig with a geometry"),
    Source("dataset", "fuzz_set", _DATASET, "a dataset of named units"),
    Source("dataset", "fuzz_set", _FOLDS, "a dataset of folds"),
    Source("experiment", "fuzz_study", _STUDY, "a study"),
    Source("model", "fuzz_model", _MODEL, "a model"),
    Source("site", "site", _SITE, "a site"),
]
