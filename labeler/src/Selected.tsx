/** Selected.tsx - the list: each row edited in place, each saying how far its edits have come. */
import { memo } from "react";
import type { Id, Receipt } from "tidemark";
import { useDraft, useItem, useReadable, useReceipt } from "tidemark/react";
import type { Field, Photos } from "./begin.js";
import type { Photo } from "./catalogue.js";
import type { Losses } from "./losses.js";

type Shared = { list: Photos; photos: ReadonlyMap<string, Photo>; losses: Losses };

export function Selected({ list, photos, losses }: Shared) {
  const ids = useReadable(list.ids);
  const sort = useReadable(list.sort);
  return (
    <section aria-labelledby="selected">
      <div className="heading">
        <h2 id="selected">Selected</h2>
        <button
          type="button"
          data-testid="sort"
          data-sort={sort}
          onClick={() => list.setSort(sort === "asc" ? "desc" : "asc")}
        >
          {sort === "asc" ? "Oldest first" : "Newest first"}
        </button>
      </div>
      {ids.length === 0 && <p className="empty">Choose a photo to label it.</p>}
      <ol className="rows" data-testid="rows">
        {ids.map((id) => (
          <Row key={id} id={id} list={list} photos={photos} losses={losses} />
        ))}
      </ol>
    </section>
  );
}

const Row = memo(function Row({ id, list, photos, losses }: Shared & { id: Id }) {
  const item = useItem(list, id);
  const photo = item && photos.get(item.imageId);
  const name = photo?.name ?? item?.imageId ?? "";
  return (
    <li data-testid="row" data-id={id} data-image-id={item?.imageId}>
      <img src={photo?.src} alt={name} width="96" height="72" />
      <TextField id={id} list={list} losses={losses} field="photoNumber" label="Photo number" />
      <TextField id={id} list={list} losses={losses} field="description" label="Description" />
      <ReceiptMark list={list} id={id} />
      <button
        type="button"
        data-testid="remove"
        aria-label={`Remove ${name}`}
        onClick={() => list.remove(id)}
      >
        Remove
      </button>
    </li>
  );
});

type FieldProps = { id: Id; list: Photos; losses: Losses; field: Field; label: string };

function TextField({ id, list, losses, field, label }: FieldProps) {
  const { props, problem } = useDraft(list, id, field, {
    gone: (text) => losses.unplaced(id, field, text),
  });
  return (
    <label className={field}>
      <span>{label}</span>
      <input type="text" autoComplete="off" data-testid={field} {...props} />
      {problem && <em role="alert">{problem}</em>}
    </label>
  );
}

const receiptWords: { readonly [receipt in Receipt]: readonly [mark: string, words: string] } = {
  volatile: ["!", "In no storage yet: keep this page open"],
  kept: ["·", "Kept in this browser"],
  disk: ["•", "Kept on this computer's disk"],
  accepted: ["✓", "Saved on the server"],
  seen: ["✓✓", "Saved, and seen in another browser"],
  rejected: ["✕", "Refused by the server: see above"],
};

function ReceiptMark({ list, id }: { list: Photos; id: Id }) {
  const receipt = useReceipt(list, id);
  const [mark, words] = receipt ? receiptWords[receipt] : ["", "Saved"];
  return (
    <span
      className="receipt"
      role="img"
      aria-label={words}
      title={words}
      data-testid="receipt"
      data-receipt={receipt ?? ""}
    >
      {mark}
    </span>
  );
}
