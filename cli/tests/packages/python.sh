# packages: python3-venv python3-pip python3-numpy python3-dev gcc libc6-dev
# An environment of its own, numbers, processes that share memory.
python3 -m venv --system-site-packages /env
/env/bin/python - <<'END'
import multiprocessing, numpy
def square(n): return n * n
if __name__ == "__main__":
    with multiprocessing.Pool(4) as pool:
        assert pool.map(square, range(10))[-1] == 81
    assert numpy.arange(10).sum() == 45
END
