"""`tito status`, which is `tito module status` too."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from tito.cli.typed import Context, show
from tito.course import Course
from tito.errors import TitoError


def status(ctx: Context,
           rebuild: Annotated[bool, typer.Option("--rebuild", help="Test every notebook and write progress anew.")] = False,
           html: Annotated[bool, typer.Option("--html", help="As a page that you can show to others.")] = False,
           output: Annotated[str, typer.Option("--output", metavar="FILE", help="For the page; else build/progress.html.")] = "") -> int:
    """Where am I, module by module and milestone by milestone."""
    from tito.cli import status
    if output and not html:
        raise TitoError("--output is the page's", fix=f"{ctx.command_path} --html --output {output}")
    course = Course.find()
    with ctx.obj.busy("testing every notebook") if rebuild else nullcontext():
        found = status.rebuild(course) if rebuild else status.overview(course, detailed=True)
    if not html:
        return show(ctx, found)
    from tito.cli import status_page
    return show(ctx, status_page.write(course, found, Path(output) if output else None))
