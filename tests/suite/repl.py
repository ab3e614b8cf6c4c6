"""Drives `ravine repl` through a pseudo-terminal, as a person would; says what went wrong and exits with 1."""

import os
import pty
import re
import select
import sys
import time

binary, history = sys.argv[1:3]
END = 60.0


def start():
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.environ.pop("NO_COLOR", None)
        os.execv(binary, [binary, "repl", "--history", history])
    return pid, fd


class Terminal:
    def __init__(self):
        self.pid, self.fd = start()
        self.seen = ""
        self.mark = 0

    def read(self, seconds):
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += data.decode("utf-8", "replace")
        return bool(data)

    def expect(self, pattern):
        """Waits until the pattern stands in what came since the last one."""
        begun = time.monotonic()
        while True:
            found = re.compile(pattern, re.S).search(self.seen, self.mark)
            if found:
                self.mark = found.end()
                return found
            if time.monotonic() - begun > END or (not self.read(0.2) and os.waitpid(self.pid, os.WNOHANG)[0]):
                sys.exit(f"expected {pattern!r} after {self.seen[self.mark:]!r}")

    def prompt(self):
        """Waits for a new entry to begin; the prompt alone is drawn again at every change of the line."""
        self.expect(r"\x1b\[\?2004h.*?ravine> ")

    def send(self, text):
        os.write(self.fd, text.encode())

    def line(self, text):
        self.send(text + "\r")

    def ended(self):
        begun = time.monotonic()
        while time.monotonic() - begun < END:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        sys.exit("it does not end")


t = Terminal()
t.prompt()
# A block is taken line by line and runs when it is closed.
t.line("problem p {")
t.line("var x: Real >= 1")
t.line("minimize x^2")
t.line("}")
t.prompt()
t.line("s = solve p")
t.expect(r"optimal")
t.prompt()
# An error is shown beside its place, in colour, and ends nothing.
t.line("print unknwon")
t.expect(r"R0201")
assert "\x1b[" in t.seen, "no colours"
t.prompt()
# Tab completes, and lists with types where there are several.
t.send("print s.obj\t")
t.expect(r"s\.objective")
t.line("")
t.expect(r"s\.objective =.* 1")
t.prompt()
t.send("solve p with \t\t")
t.expect(r"lbfgs\(\).*L-BFGS")
# Ctrl-C empties the line.
t.send("\x03")
t.prompt()
# Ctrl-C ends the solve and not the session.
t.line("problem valley { var y: Vector[50000] from -1; minimize sum(i in 1..49999) (100*(y[i+1] - y[i]^2)^2 + (1 - y[i])^2) }")
t.prompt()
t.line("v = solve valley to 1e-300 with lbfgs(memory: 3)")
t.expect(r"valley: step")
t.send("\x03")
begun = time.monotonic()
t.expect(r"interrupted")
t.prompt()
print(f"the prompt was back {time.monotonic() - begun:.3f} s after Ctrl-C")
t.line("print v.status, 1 + 1")
t.expect(r"interrupted")
t.expect(r"1 \+ 1 =.* 2")
t.prompt()
t.line("?lbfgs")
t.expect(r"memory")
t.prompt()
# Ctrl-D ends it.
t.send("\x04")
assert t.ended() == 0, "exit code"

# The next session remembers.
t = Terminal()
t.prompt()
t.send("\x1b[A")
t.expect(r"\?lbfgs")
t.send("\x03")
t.prompt()
t.send("\x04")
assert t.ended() == 0, "exit code"
