"""Jupyter's own tests of a kernel, with programs of ours. None may be skipped.

    JUPYTER_PATH=PREFIX/share/jupyter python protocol.py
"""

import sys
import unittest

import jupyter_kernel_test as jkt

RANK = """param A: Matrix[2, 2] = [1, 1; 1, 1]
var v: Vector[2]
minimize sumsq(A*v - 1)
t = solve"""


class Kernel(jkt.KernelTests):
    kernel_name = "ravine"
    language_name = "ravine"
    file_extension = ".opt"
    code_hello_world = 'print "hello, world"'
    code_stderr = RANK
    completion_samples = [
        {"text": "minimi", "matches": ["minimize"]},
        {"text": "print logsumex", "matches": ["logsumexp"]},
    ]
    complete_code_samples = ["let a = 1", "problem p {\n  var x: Real\n}", "# a comment"]
    incomplete_code_samples = ["let a = (1 +", "problem p {\n  var x: Real", "let b = [1, 2,"]
    invalid_code_samples = ["let a = )"]
    code_page_something = "logsumexp?"
    code_generate_error = "print nowhere"
    code_execute_result = [
        {"code": "minimize (p - 1)^2 from p = 0"},
        {"code": "minimize (q + 2)^2 from q = 1", "mime": "text/html"},
    ]
    code_display_data = [
        {"code": "param M: Matrix[2, 2] = [1, 2; 3, 4]\nprint M\nprint 1", "mime": "text/html"},
        {"code": "minimize (r - 1)^2 from r = 0\nprint 1", "mime": "application/vnd.ravine.report.v1+json"},
    ]
    code_history_pattern = "minimize (p*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "logsumexp"
    code_clear_output = "%clear\nprint 1"


class Welcome(jkt.IopubWelcomeTests):
    kernel_name = "ravine"
    support_iopub_welcome = True


if __name__ == "__main__":
    suite = unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromTestCase(c) for c in (Kernel, Welcome))
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    good = result.wasSuccessful() and not result.skipped and result.testsRun == 13
    print(f"{result.testsRun} ran, {len(result.skipped)} skipped")
    sys.exit(not good)
