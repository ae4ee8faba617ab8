/** Notices.tsx - what needs the user's eye: refused edits, and values that lost. */
import type { DeadLetter } from "tidemark";
import { useReadable } from "tidemark/react";
import type { Field, Photos } from "./begin.js";
import type { Losses } from "./losses.js";

const reasons: { readonly [code: string]: string } = {
  "too-many-items": "the list is full",
  "too-many-ids": "the list has had too many items",
  "too-many-fields": "the item has too many fields",
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

export function DeadLetters({ list }: { list: Photos }) {
  const letters = useReadable(list.deadLetters);
  if (letters.length === 0) return null;
  return (
    <section className="notices" aria-label="Refused changes" data-testid="dead-letters">
      <h2>Refused</h2>
      <ul>
        {letters.map((letter) => (
          <li key={letter.id} data-testid="dead-letter" data-code={letter.code}>
            <span>{`${what(letter)} was refused: ${reasons[letter.code] ?? letter.code}.`}</span>
            <button type="button" data-testid="retry" onClick={() => list.retry(letter.id)}>
              Try again
            </button>
            <button type="button" data-testid="discard" onClick={() => list.discard(letter.id)}>
              Discard
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

export function LossList({ losses }: { losses: Losses }) {
  const all = useReadable(losses);
  if (all.length === 0) return null;
  return (
    <section
      className="notices"
      aria-label="Changed elsewhere"
      role="status"
      data-testid="superseded-list"
    >
      <h2>Changed elsewhere</h2>
      <ul>
        {all.map(({ key, says, restore }) => (
          <li key={key} data-testid="superseded">
            <span>{says}</span>
            {restore && (
              <button type="button" data-testid="restore" onClick={restore}>
                Restore mine
              </button>
            )}
            <button type="button" data-testid="dismiss" onClick={() => losses.dismiss(key)}>
              Dismiss
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
