"""What axe (https://github.com/dequelabs/axe-core) finds wrong with a part of a page."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator

AXE = Path(__file__).parents[2] / "labextension" / "node_modules" / "axe-core" / "axe.min.js"

#: WCAG 2.1's levels A and AA, and what is good practice for parts of a page.
_SCRIPT = """
async element => {
  const { violations } = await window.axe.run(element, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'],
    rules: { region: { enabled: false } }
  });
  return violations.map(({ id, help, nodes }) =>
    `${id}: ${help}: ${nodes.map(node => node.html.slice(0, 200)).join(' | ')}`);
}
"""


def violations(element: Locator) -> list[str]:
    """Rules that ``element`` breaks, and by what."""
    page = element.page
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    return [str(text) for text in element.evaluate(_SCRIPT)]
