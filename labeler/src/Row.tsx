/** Row.tsx - one photo of the list, edited in place, and how far its edits have come. */
import { memo } from "react";
import type { Id, Receipt } from "tidemark";
import { useDraft, useItem, useReceipt } from "tidemark/react";
import type { Field, Photos } from "./begin.js";
import { titleOf, type Photo } from "./catalogue.js";
import { Icon, type IconName } from "./icons.js";
import type { Losses } from "./losses.js";
import { NoThumb, Thumb } from "./Thumb.js";

type Props = {
  id: Id;
  list: Photos;
  photos: ReadonlyMap<string, Photo>;
  known: boolean;
  losses: Losses;
  remove: (id: Id) => void;
};

export const Row = memo(function Row({ id, list, photos, known, losses, remove }: Props) {
  const imageId = useItem(list, id)?.imageId ?? "";
  const photo = photos.get(imageId);
  const title = photo ? titleOf(photo.name) : known ? "Photo no longer there" : "";
  return (
    <div className="row" data-image-id={imageId}>
      {photo ? <Thumb photo={photo} /> : <NoThumb state={known ? "gone" : "waiting"} />}
      <TextField id={id} list={list} losses={losses} field="photoNumber" label="No." of={title} />
      <TextField
        id={id}
        list={list}
        losses={losses}
        field="description"
        label="Describe this photo"
        of={title}
      />
      <bdi className="name" title={photo?.name ?? imageId}>
        {title}
      </bdi>
      <ReceiptMark list={list} id={id} />
      <button
        type="button"
        className="plain remove"
        data-testid="remove"
        title="Remove from the list"
        aria-label={`Remove ${title || "this photo"}`}
        onClick={() => remove(id)}
      >
        <Icon name="cross" />
      </button>
    </div>
  );
});

const names: { readonly [field in Field]: string } = {
  photoNumber: "Photo number",
  description: "Description",
};

type FieldProps = { id: Id; list: Photos; losses: Losses; field: Field; label: string; of: string };

function TextField({ id, list, losses, field, label, of }: FieldProps) {
  const { props, problem } = useDraft(list, id, field, {
    gone: (text) => losses.unplaced(id, field, text),
  });
  return (
    <span className={`field ${field}`}>
      <input
        type="text"
        autoComplete="off"
        dir="auto"
        placeholder={label}
        aria-label={of ? `${names[field]}, ${of}` : names[field]}
        aria-describedby={problem && `why-${field}-${id}`}
        data-testid={field}
        onKeyDown={(event) => event.key === "Escape" && event.currentTarget.blur()}
        {...props}
      />
      {problem && (
        <em id={`why-${field}-${id}`} role="alert">
          {problem.replace(/^tidemark: /, "")}
        </em>
      )}
    </span>
  );
}

const receipts: { readonly [receipt in Receipt | ""]: readonly [mark: IconName, words: string] } = {
  "": ["check", "Saved"],
  volatile: ["warn", "Only in this open page: nothing here stores it"],
  kept: ["ring", "Kept in this browser, not sent yet"],
  disk: ["disk", "Kept on this computer, not sent yet"],
  accepted: ["check", "Saved on the server"],
  seen: ["seen", "Saved, and seen in another browser"],
  rejected: ["refused", "Refused by the server"],
};

function ReceiptMark({ list, id }: { list: Photos; id: Id }) {
  const receipt = useReceipt(list, id) ?? "";
  const [mark, words] = receipts[receipt];
  return (
    <span
      className="receipt"
      role="img"
      aria-label={words}
      title={words}
      data-testid="receipt"
      data-receipt={receipt}
    >
      <Icon name={mark} />
    </span>
  );
}
