/** Notices.tsx - what needs the user's eye: edits that nothing stores, refused ones, and values that lost. */
import { useState, type ReactNode } from "react";
import type { DeadLetter } from "tidemark";
import { useReadable } from "tidemark/react";
import type { Field, Photos } from "./begin.js";
import type { Losses } from "./losses.js";
import { changes } from "./StatusLine.js";
import { weakStorage } from "./storage.js";

const reasons: { readonly [code: string]: string } = {
  "too-many-items": "the list is full",
  "too-many-ids": "the list has had too many photos",
  "too-many-fields": "the photo has too many fields",
  "list-too-large": "the list has become too large",
  "too-large": "it is too large",
  "refused-by-policy": "the server does not allow it",
};

function what({ type, data, sort }: DeadLetter<Field>): string {
  if (type === "ADD") return "Adding a photo";
  if (type === "DELETE") return "Removing a photo";
  if (type === "SORT_CHANGE") return `Turning the order to ${sort}`;
  return `Writing ${Object.values(data ?? {})
    .map((value) => (value ? `“${value}”` : "nothing"))
    .join(", ")}`;
}

type Props = { list: Photos; losses: Losses; rescue: () => void };

/** They lie above the page, in a corner: nothing under them moves. */
export function Notices({ list, losses, rescue }: Props) {
  const status = useReadable(list.status);
  const letters = useReadable(list.deadLetters);
  const lost = useReadable(losses);
  const stopped = status.phase === "stopped";
  const weak = weakStorage(status.storage);
  const [told, setTold] = useState<string>(); // dismissed
  const about = weak !== told && status.volatile === 0 && !stopped ? weak : undefined;
  const count =
    [...letters, ...lost].length +
    Number(status.volatile > 0) +
    Number(stopped) +
    Number(about !== undefined);
  if (count === 0) return null;
  return (
    <details className="notices" open data-testid="notices">
      <summary>{count === 1 ? "1 thing needs your eye" : `${count} things need your eye`}</summary>
      <div className="cards" role="status">
        {stopped && (
          <Card
            testid="stopped"
            tone="warn"
            says="This page has stopped on a mistake of its own. What was stored is safe."
          >
            <button type="button" onClick={() => location.reload()}>
              Reload the page
            </button>
          </Card>
        )}
        {status.volatile > 0 && (
          <Card
            testid="volatile"
            tone="warn"
            says={`This browser refuses to store ${changes(status.volatile)}: its storage is full, or switched off. ${
              status.connection === "offline"
                ? "There is no connection either. Keep this page open, or save a rescue file."
                : "They are being sent; keep this page open until they are saved."
            }`}
          >
            <button type="button" data-testid="rescue" onClick={rescue}>
              Save a rescue file
            </button>
          </Card>
        )}
        {about && (
          <Card testid="weak-storage" says={about}>
            <button
              type="button"
              className="plain"
              data-testid="weak-storage-dismiss"
              onClick={() => setTold(about)}
            >
              Dismiss
            </button>
          </Card>
        )}
        {letters.length > 0 && (
          <ul aria-label="Refused changes" data-testid="dead-letters">
            {letters.map((letter) => (
              <li key={letter.id} data-testid="dead-letter">
                <Card
                  tone="warn"
                  says={`${what(letter)} was refused: ${reasons[letter.code] ?? letter.code}.`}
                >
                  <button type="button" data-testid="retry" onClick={() => list.retry(letter.id)}>
                    Try again
                  </button>
                  <button
                    type="button"
                    className="plain"
                    data-testid="discard"
                    onClick={() => list.discard(letter.id)}
                  >
                    Discard
                  </button>
                </Card>
              </li>
            ))}
          </ul>
        )}
        {lost.length > 0 && (
          <ul aria-label="Changed elsewhere" data-testid="superseded-list">
            {lost.map(({ key, says, restore }) => (
              <li key={key} data-testid="superseded">
                <Card says={says}>
                  {restore && (
                    <button type="button" data-testid="restore" onClick={restore}>
                      Restore mine
                    </button>
                  )}
                  <button
                    type="button"
                    className="plain"
                    data-testid="dismiss"
                    onClick={() => losses.dismiss(key)}
                  >
                    Dismiss
                  </button>
                </Card>
              </li>
            ))}
          </ul>
        )}
      </div>
    </details>
  );
}

type CardProps = { says: string; tone?: "warn"; testid?: string; children: ReactNode };

const Card = ({ says, tone, testid, children }: CardProps) => (
  <div className="card" data-tone={tone} data-testid={testid}>
    <p>{says}</p>
    <div className="actions">{children}</div>
  </div>
);
