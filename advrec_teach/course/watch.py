"""Watch a kernel from the process that started it: its memory, and its time limit."""

import threading
import time

import psutil

_SAMPLE_SECONDS = 0.2


class Watch(threading.Thread):
    """Samples the memory of the kernel's processes and kills them at the time limit.

    Parameters
    ----------
    limit
        Seconds from now.
    """

    def __init__(self, limit: float):
        super().__init__(daemon=True)
        self.peak = 0
        self.expired = False
        self.deadline = time.monotonic() + limit
        self._done = threading.Event()
        self._self = psutil.Process()
        self._before = {child.pid for child in self._self.children(recursive=True)}

    def kernels(self) -> list[psutil.Process]:
        """Return the processes that were started since the watch began."""
        return [child for child in self._self.children(recursive=True) if child.pid not in self._before]

    def run(self) -> None:
        """Sample until ``close``; walking the process table is dear, so that is done once a second."""
        processes: list[psutil.Process] = []
        refreshed = float("-inf")
        while not self._done.wait(_SAMPLE_SECONDS):
            now = time.monotonic()
            if now >= self.deadline:
                # Again and again: a kernel may be starting just now.
                self.expired = True
                kill(self.kernels())
                continue
            if now - refreshed >= 1:
                processes, refreshed = self.kernels(), now
            self.sample(processes)

    def sample(self, processes: list[psutil.Process] | None = None) -> None:
        """Raise ``peak`` to what the processes hold now, or to the kernel's own record of its peak."""
        total = 0
        for process in self.kernels() if processes is None else processes:
            try:
                total += process.memory_info().rss
                self.peak = max(self.peak, _high_water(process.pid))
            except psutil.Error:
                continue
        self.peak = max(self.peak, total)

    def close(self) -> None:
        """Stop sampling."""
        self._done.set()
        self.join()


def _high_water(pid: int) -> int:
    """Return the peak resident bytes that Linux keeps of a process, 0 elsewhere."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
            for line in stream:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0


def kill(processes: list[psutil.Process]) -> None:
    """Kill processes that may be gone already."""
    for process in processes:
        try:
            process.kill()
        except psutil.Error:
            continue
