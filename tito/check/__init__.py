"""The verdict: the one thing that judges a notebook, at home, in JupyterLab and in grading.

`expect` is what graded cells call, `child` runs a notebook, `verdict` starts the child and makes one `Row` a graded cell.
Importing this package imports none of them: `verdict` needs no numpy, `expect` no subprocess.
"""
