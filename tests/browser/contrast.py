"""How well text stands out from its ground, as WCAG 2 measures it."""

from __future__ import annotations

from playwright.sync_api import Locator

#: WCAG's level AA for texts, and for shapes such as a dot.
TEXT, SHAPE = 4.5, 3.0

#: Gives the texts inside an element that have less contrast than they need, and how much.
#: Grounds are mixed from all ancestors, because themes use half-transparent colours.
_SCRIPT = """
(root, [bound, shape]) => {
  const parse = text => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const mix = (over, under) => over.rgb.map((c, i) => c * over.a + under[i] * (1 - over.a));
  const ground = node => node === null
    ? [255, 255, 255]
    : mix(parse(getComputedStyle(node).backgroundColor), ground(node.parentElement));
  const luminance = rgb => {
    const [r, g, b] = rgb.map(c => c / 255)
      .map(c => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faint = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim();
    const node = walker.currentNode.parentElement;
    if (!text || !node.checkVisibility({ opacityProperty: true, visibilityProperty: true })) {
      continue;
    }
    const under = ground(node);
    const [light, dark] = [luminance(mix(parse(getComputedStyle(node).color), under)),
      luminance(under)].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < (/[\\p{L}\\p{N}]/u.test(text) ? bound : shape)) {
      faint.push(`${text}: ${contrast.toFixed(2)}`);
    }
  }
  return faint;
}
"""


def faint_texts(element: Locator) -> list[str]:
    """Visible texts in ``element`` that do not stand out enough, with their contrast."""
    return [str(text) for text in element.evaluate(_SCRIPT, [TEXT, SHAPE])]
