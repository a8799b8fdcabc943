"""The list of jobs in the sidebar, and how it behaves: measured in the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from playwright.sync_api import Locator, expect
from sidebar import Tab

#: From the arrival of the first answer with jobs to the frame in which the first row is there,
#: and what it took until all rows were known; milliseconds.
_OPEN = """
async ([sidebar, scope]) => {
  const entries = () => performance.getEntriesByType('resource')
    .filter(({ name }) => /aiqueue\\/api\\/jobs\\?/.test(name));
  const frame = () => new Promise(resolve => requestAnimationFrame(resolve));
  const until = async isSo => {
    while (!isSo()) {
      await frame();
    }
    return performance.now();
  };
  performance.clearResourceTimings();
  performance.setResourceTimingBufferSize(10000);
  sidebar.querySelector(`[data-aiq-scope="${scope}"]`).click();
  await until(() => !sidebar.querySelector('[data-aiq-job]'));
  await until(() => sidebar.querySelector('[data-aiq-job]'));
  // The frame after the one in which it was put there has it on the screen.
  await frame();
  const painted = performance.now();
  const [first] = entries();
  const grid = () => sidebar.querySelector('[role="grid"]');
  const count = sidebar.querySelector('.jp-AIQueue-jobs .jp-AIQueue-count');
  const total = () => Number(count.textContent);
  const whole = await until(() => Number(grid()?.ariaRowCount) === total());
  return {
    paint: painted - first.responseEnd,
    asked: first.responseEnd - first.startTime,
    whole: whole - first.responseEnd,
    bytes: entries().reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0),
    requests: entries().length
  };
}
"""

#: After each jump of many, in the next frame: whether rows cover what can be seen of the list.
_SCROLL = """
async ([sidebar, steps, far]) => {
  const frame = () => new Promise(resolve => requestAnimationFrame(resolve));
  const list = sidebar.querySelector('[role="grid"]');
  const tools = sidebar.querySelector('.jp-AIQueue-tools');
  const end = sidebar.scrollHeight - sidebar.clientHeight;
  let blank = 0;
  let most = 0;
  let longest = 0;
  for (let i = 1; i <= steps; i += 1) {
    const begun = performance.now();
    sidebar.scrollTop = far ? (end * ((i * 17) % steps)) / steps : sidebar.scrollTop + 600;
    await frame();
    const box = sidebar.getBoundingClientRect();
    const top = Math.max(tools.getBoundingClientRect().bottom, list.getBoundingClientRect().top);
    const bottom = Math.min(box.bottom, list.getBoundingClientRect().bottom);
    const rows = [...list.querySelectorAll('[data-aiq-job]')]
      .map(row => row.getBoundingClientRect());
    let covered = top;
    for (const row of rows) {
      covered = row.top <= covered + 1 ? Math.max(covered, row.bottom) : covered;
    }
    blank += covered < bottom - 1 ? 1 : 0;
    most = Math.max(most, rows.length);
    longest = Math.max(longest, performance.now() - begun);
  }
  return { steps, blank, most, longest };
}
"""

#: Notes which rows of jobs anything in the page changes.
_WATCH = """
sidebar => {
  const touched = new Map();
  const rowOf = node => (node instanceof Element ? node : node.parentElement)
    ?.closest('[data-aiq-job]')?.dataset.aiqJob;
  window.aiqueueTouched = touched;
  window.aiqueueWatch = new MutationObserver(records => {
    for (const { target, addedNodes, removedNodes } of records) {
      for (const node of [target, ...addedNodes, ...removedNodes]) {
        const id = rowOf(node);
        if (id !== undefined) {
          touched.set(id, (touched.get(id) ?? 0) + 1);
        }
      }
    }
  });
  window.aiqueueWatch.observe(sidebar.querySelector('[role="grid"]'), {
    attributes: true, characterData: true, childList: true, subtree: true
  });
}
"""


class Opening(NamedTuple):
    """How the list came; milliseconds and bytes."""

    #: From the first answer with jobs to the first rows on the screen.
    paint: float
    #: What the server took for that answer.
    asked: float
    #: From the first answer until every job was listed.
    whole: float
    bytes: int
    requests: int


class Scrolling(NamedTuple):
    """How the list was scrolled."""

    steps: int
    #: Frames in which a part of the list was blank.
    blank: int
    #: Rows that existed at once, at most.
    most: int
    #: The longest frame, milliseconds.
    longest: float


def open_scope(tab: Tab, scope: str) -> Opening:
    """Choose whose jobs are listed, which are other ones than now, and wait for all of them."""
    return Opening(**tab.page.evaluate(_OPEN, [tab.sidebar.element_handle(), scope]))


def scroll(tab: Tab, steps: int, *, far: bool) -> Scrolling:
    """Scroll the list by a screen at a time, or ``far``: to places all over it."""
    return Scrolling(**tab.page.evaluate(_SCROLL, [tab.sidebar.element_handle(), steps, far]))


def rows_touched(tab: Tab, act: Callable[[], object]) -> dict[str, int]:
    """The rows that change in the page while something is done, and in how many ways."""
    tab.page.evaluate(_WATCH, tab.sidebar.element_handle())
    act()
    return dict(
        tab.page.evaluate(
            "() => { window.aiqueueWatch.disconnect(); "
            "return Object.fromEntries(window.aiqueueTouched) }"
        )
    )


def grid(tab: Tab) -> Locator:
    return tab.sidebar.get_by_role("grid", name="Jobs")


def expect_count(tab: Tab, count: int) -> None:
    """So many jobs are listed, most of which are out of sight."""
    expect(grid(tab)).to_have_attribute("aria-rowcount", str(count))


def search(tab: Tab, text: str) -> None:
    tab.sidebar.get_by_role("searchbox").fill(text)


def order(tab: Tab, name: str) -> None:
    tab.sidebar.get_by_label("Order of jobs").select_option(name)


def select(tab: Tab, job_id: str, *, extend: bool = False) -> None:
    """Tick the box of a job's row."""
    tab.job(job_id).hover()
    tab.job(job_id).get_by_role("checkbox").click(modifiers=["Shift"] if extend else [])


def do(tab: Tab, action: str, answer: str | None) -> None:
    """Press a button of the bar, and give an answer to the one question."""
    tab.sidebar.locator(f'[data-aiq-bulk="{action}"]').click()
    if answer is not None:
        dialog = tab.page.get_by_role("dialog")
        dialog.get_by_role("button", name=answer).click()
        expect(dialog).to_have_count(0)
