"""What `benchmarks/gpu.py` measures, a module per part."""
