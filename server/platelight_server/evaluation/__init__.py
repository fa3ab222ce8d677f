"""What is measured: the proof that comes with a result, its sheet, and the benchmarks."""
