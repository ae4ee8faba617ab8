/** Menu.tsx - what is not needed every day: the keys, and the rescue file. Loaded when asked for. */
import { useEffect, useRef, useState } from "react";
import { useReadable } from "tidemark/react";
import type { Photos } from "./begin.js";
import { openRescue, saveRescue } from "./rescue.js";
import { changes } from "./StatusLine.js";
import { weakStorage } from "./storage.js";
import type { Say } from "./Toast.js";
import "./style/menu.css";

const keys: readonly (readonly [keys: readonly string[], what: string])[] = [
  [["/"], "Find a photo by its name"],
  [["←", "↑", "↓", "→"], "Move among the photos (Page, Home and End too)"],
  [["Enter", "Space"], "Add the photo to the list"],
  [["Enter"], "In a field: the same field of the next photo"],
  [["Shift", "Enter"], "In a field: that of the photo before"],
  [["Esc"], "Leave the field; what was typed is saved"],
  [["Alt", "P"], "Go to the photos"],
  [["Alt", "L"], "Go to the list"],
  [["?"], "Show these keys"],
];

type Props = {
  list: Photos;
  user: string;
  begin: "menu" | "keys" | "rescue";
  say: Say;
  close: () => void;
};

export default function Menu({ list, user, begin, say, close }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState<string>();
  const { pending, volatile, storage } = useReadable(list.status);
  useEffect(() => {
    dialog.current!.showModal();
    if (begin === "rescue") void save();
    // eslint-disable-next-line react-hooks/exhaustive-deps -- once
  }, []);

  async function save(): Promise<void> {
    try {
      const count = await saveRescue(list, user);
      say({
        words:
          count > 0
            ? `${changes(count)} saved to a rescue file`
            : "Nothing to rescue: the server has everything",
      });
      if (begin === "rescue") dialog.current?.close();
    } catch (error) {
      setProblem((error as Error).message);
    }
  }
  async function open(file: File): Promise<void> {
    try {
      const count = await openRescue(list, file);
      say({
        words:
          count > 0
            ? `${changes(count)} taken in from the rescue file`
            : "Nothing new in the rescue file",
      });
      dialog.current?.close();
    } catch (error) {
      setProblem((error as Error).message);
    }
  }

  return (
    <dialog ref={dialog} aria-labelledby="menu-title" data-testid="menu-dialog" onClose={close}>
      <div className="head">
        <h2 id="menu-title">Keys and rescue</h2>
        <button
          type="button"
          className="plain"
          data-testid="menu-close"
          onClick={() => dialog.current?.close()}
        >
          Close
        </button>
      </div>
      <h3>Keys</h3>
      <dl className="keys" data-testid="keys">
        {keys.map(([pressed, what]) => (
          <div key={what}>
            <dt>
              {pressed.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <h3>Rescue file</h3>
      <p data-testid="rescue-state">
        {volatile > 0
          ? `This browser refuses to store ${changes(volatile)}. `
          : pending > 0
            ? `${changes(pending)} kept in this browser, not on the server yet. `
            : "The server has all your changes. "}
        {weakStorage(storage)} A rescue file carries what the server does not have yet into another
        browser. Opening one twice does no harm.
      </p>
      {problem && (
        <p role="alert" className="problem" data-testid="rescue-problem">
          {problem}
        </p>
      )}
      <div className="actions">
        <button type="button" data-testid="rescue-save" onClick={() => void save()}>
          Save a rescue file
        </button>
        <button type="button" data-testid="rescue-open" onClick={() => input.current?.click()}>
          Open a rescue file…
        </button>
        <input
          ref={input}
          type="file"
          accept=".json,application/json"
          hidden
          data-testid="rescue-input"
          onChange={({ currentTarget }) => {
            const file = currentTarget.files?.[0];
            currentTarget.value = "";
            if (file) void open(file);
          }}
        />
      </div>
    </dialog>
  );
}
