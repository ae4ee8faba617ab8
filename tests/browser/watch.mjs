// What a page does to itself, seen from inside: blank rows while it scrolls, rows rendered
// for an edit, nodes in the document, and what axe finds.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Everything axe has to complain of, as text; [] = nothing. `rules`: only these. */
export async function violations(page, rules) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axeSource);
  return page.evaluate(async (rules) => {
    const { violations } = await globalThis.axe.run(document, {
      resultTypes: ["violations"],
      ...(rules && { runOnly: rules }),
    });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 4).map(({ html, failureSummary }) => `${html.slice(0, 160)} ${failureSummary}`).join(" | ")}`);
  }, rules);
}

/** To be put into a context before its pages: counts which rows React renders. */
export const countRenders = (context) =>
  context.addInitScript(() => {
    const rendered = { rows: [], lists: 0 };
    globalThis.rendered = rendered;
    const PERFORMED_WORK = 1;
    const look = (fiber) => {
      const before = fiber.alternate;
      const { memoizedProps: props, flags, type } = fiber;
      if (typeof type === "function" || type?.$$typeof) {
        if (before === null || (flags & PERFORMED_WORK && before !== fiber)) {
          if (props?.list && props.id) rendered.rows.push(props.id);
          else if (props?.photos) rendered.lists++;
        }
      }
      if (before !== null && fiber.child === before.child) return; // nothing below was touched
      for (let child = fiber.child; child; child = child.sibling) look(child);
    };
    globalThis.__REACT_DEVTOOLS_GLOBAL_HOOK__ = {
      supportsFiber: true,
      checkDCE() {},
      inject: () => 1,
      onCommitFiberUnmount() {},
      onPostCommitFiberRoot() {},
      onCommitFiberRoot: (_id, root) => look(root.current),
    };
  });

/** The rows rendered while `during` ran, each once; and how often a whole list was. */
export async function rendered(page, during) {
  await page.evaluate(() => ((globalThis.rendered.rows.length = 0), (globalThis.rendered.lists = 0)));
  await during();
  return page.evaluate(() => ({ rows: [...new Set(globalThis.rendered.rows)], lists: globalThis.rendered.lists }));
}

export const nodeCount = (page) => page.evaluate(() => document.querySelectorAll("*").length);

/**
 * Scrolls from `from` to `to` (parts of the whole, 0 to 1), `step` viewports a frame, and
 * looks at each frame as it will be painted: is every line in view there? Returns how many
 * frames there were, and how many of them had a blank line.
 */
export function scrollThrough(page, testid, { from = 0, to = 1, step = 0.7 } = {}) {
  return page.evaluate(
    ([testid, from, to, step]) =>
      new Promise((done) => {
        const scroller = document.querySelector(`[data-testid=${testid}]`);
        const sheet = scroller.querySelector("ul, ol");
        const port = scroller.getBoundingClientRect();
        const blank = () => {
          const lines = new Map();
          let total = 0;
          for (const li of sheet.children) {
            const { top, bottom } = li.getBoundingClientRect();
            total = Number(li.ariaSetSize ?? li.getAttribute("aria-setsize"));
            if (bottom > port.top && top < port.bottom) lines.set(top, (lines.get(top) ?? 0) + 1);
          }
          const pitch = parseFloat(sheet.style.getPropertyValue("--pitch"));
          const columns = Math.max(1, ...lines.values());
          const begin = sheet.getBoundingClientRect().top;
          const first = Math.max(0, Math.floor((port.top - begin) / pitch));
          const last = Math.min(Math.ceil(total / columns), Math.ceil((port.bottom - begin) / pitch));
          for (let line = first; line < last; line++) {
            const top = begin + line * pitch;
            const wanted = Math.min(columns, total - line * columns);
            const gap = top + pitch - port.top < 16 || port.bottom - top < 16; // a sliver, or the space between
            const there = [...lines].find(([at]) => Math.abs(at - top) < 1)?.[1] ?? 0;
            if (!gap && there < wanted) return true;
          }
          return false;
        };
        const end = (scroller.scrollHeight - scroller.clientHeight) * to;
        let [frames, blanks, widest, last] = [0, 0, 0, performance.now()];
        scroller.scrollTop = (scroller.scrollHeight - scroller.clientHeight) * from;
        const turn = (now) => {
          widest = Math.max(widest, now - last);
          last = now;
          if (scroller.scrollTop >= end - 1) return done({ frames, blanks, widestMs: widest });
          scroller.scrollTop += scroller.clientHeight * step;
          frames++;
          if (blank()) blanks++;
          requestAnimationFrame(turn);
        };
        requestAnimationFrame(() => requestAnimationFrame(turn)); // the jump to `from` is no scrolling
      }),
    [testid, from, to, step],
  );
}
