/** A list of photos, the same in every browser that has this page open. */
import { memo, StrictMode, type FormEvent } from "react";
import { createRoot } from "react-dom/client";
import { openList, type Id } from "tidemark";
import { useDraft, useIds, useItem, useReadable, useReceipt } from "tidemark/react";

const photos = await openList({
  url: "",
  user: "demo",
  list: "selected-images",
  fields: ["description"],
  warnBeforeClose: true,
});
photos.onProblem(({ detail }) => console.warn(detail));

/** Renders again when its own item changes, and for no other. */
const Row = memo(function Row({ id }: { id: Id }) {
  const item = useItem(photos, id);
  const receipt = useReceipt(photos, id);
  const { props, problem } = useDraft(photos, id, "description");
  return (
    <li>
      <b>{item?.imageId}</b>
      <input aria-label="Description" {...props} />
      {problem && <em role="alert">{problem}</em>}
      <small data-receipt={receipt ?? ""} />
      <button onClick={() => photos.remove(id)}>Remove</button>
    </li>
  );
});

/** Renders again when an item comes, goes or moves. */
function Rows() {
  return (
    <ol>
      {useIds(photos).map((id) => (
        <Row key={id} id={id} />
      ))}
    </ol>
  );
}

function Status() {
  const { phase, pending, volatile } = useReadable(photos.status);
  if (phase === "stopped") return <p role="status">Stopped: please reload the page</p>;
  if (volatile > 0)
    return <p role="status">This browser's storage is full: please stay until all is saved</p>;
  if (pending > 0) return <p role="status">{pending} on their way</p>;
  return <p role="status">{phase === "live" ? "All saved" : "Offline"}</p>;
}

function Page() {
  const sort = useReadable(photos.sort);
  const add = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    photos.add(String(new FormData(event.currentTarget).get("image")));
    event.currentTarget.reset();
  };
  return (
    <>
      <header>
        <h1>Photos</h1>
        <Status />
      </header>
      <form onSubmit={add}>
        <input name="image" aria-label="Image" placeholder="img-7" required maxLength={128} />
        <button>Add</button>
        <button type="button" onClick={() => photos.setSort(sort === "asc" ? "desc" : "asc")}>
          Turn around
        </button>
      </form>
      <Rows />
    </>
  );
}

createRoot(document.getElementById("page")!).render(
  <StrictMode>
    <Page />
  </StrictMode>,
);
