"""What the person at the terminal watches. Everything goes to standard output; the last line is the journey's JSON."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich import box, console, panel, table, text

from openvpp.demo.adapters import phone

POLL_S = 0.2


class Stage:
    """A narrator: numbered steps, facts under them, and waiting that shows what is waited for."""

    def __init__(self) -> None:
        self._console = console.Console(highlight=False)
        self._step = 0

    def open(self, *, title: str, subtitle: str) -> None:
        """Say which journey begins."""
        self._console.print()
        self._console.print(
            panel.Panel(
                text.Text(subtitle, justify="center"), title=f"[bold]{title}[/]", border_style="cyan", padding=(1, 2)
            )
        )

    def step(self, who: str, what: str) -> None:
        """Begin a step."""
        self._step += 1
        self._console.print()
        self._console.print(f"[bold cyan]{self._step:>2}[/]  [bold]{who}[/]  {what}")

    def fact(self, words: str, *, mark: str = "·", style: str = "") -> None:
        """State something that is now so."""
        self._console.print(text.Text.assemble(("    ", ""), (f"{mark} ", "dim"), (words, style)))

    def good(self, words: str) -> None:
        """State something that was checked."""
        self.fact(words, mark="✓", style="green")

    def notice(self, notice: Mapping[str, Any]) -> None:
        """Show what arrived on the phone."""
        words = text.Text.assemble((notice["title"], "bold"), "\n", notice["body"])
        head = f"[dim]notice {notice['sequence']} · {notice['kind']}[/]"
        self._console.print(
            panel.Panel(words, title=head, title_align="left", border_style="yellow", box=box.ROUNDED, width=72)
        )

    def quote(self, lines: Sequence[str]) -> None:
        """Show words that a page shows."""
        self._console.print(panel.Panel("\n".join(lines), border_style="dim", box=box.ROUNDED, width=88))

    def rows(self, *, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], total: str = "") -> None:
        """Show a table whose last column is a number."""
        grid = table.Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_footer=bool(total))
        for place, column in enumerate(columns):
            is_last = place == len(columns) - 1
            grid.add_column(
                column,
                justify="left" if place == 0 else "right",
                footer=total if is_last else ("Total" if place == 0 and total else ""),
                footer_style="bold",
            )
        for row in rows:
            grid.add_row(*row)
        self._console.print(grid)

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[Callable[[str], None]]:
        """Turn a spinner while something is waited for; the yielded function says how it stands."""
        started = time.monotonic()
        with self._console.status(f"    {what}") as status:
            yield lambda standing: status.update(
                f"    {what} [dim]· {standing} · {time.monotonic() - started:.1f} s[/]"
            )

    def until(self, what: str, ask: Callable[[], Any], *, within_s: float, standing: Callable[[], str] = str) -> Any:
        """Ask again and again until the answer is true, and return it.

        :raises phone.UnableToPlay: not within the time.
        """
        deadline = time.monotonic() + within_s
        with self.waiting(what) as say:
            while True:
                if answer := ask():
                    return answer
                if time.monotonic() > deadline:
                    raise phone.UnableToPlay(
                        f"{what}: not within {within_s:.0f} s {standing()}".strip(), code="too_slow"
                    )
                say(standing() or "waiting")
                time.sleep(POLL_S)

    def fail(self, words: str) -> None:
        """Say why the journey ends here."""
        self._console.print()
        self._console.print(panel.Panel(text.Text(words), title="[bold]not done[/]", border_style="red"))

    def end(self, *, words: str, result: Mapping[str, Any]) -> None:
        """Say how it ended, and print the result as one line of JSON, last."""
        self._console.print()
        self._console.print(panel.Panel(text.Text(words, justify="center"), border_style="green", padding=(0, 2)))
        self._console.print()
        print(json.dumps(dict(result), separators=(", ", ": ")), flush=True)  # noqa: T201 - the promised last line
