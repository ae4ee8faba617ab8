/** A list of photos, the same in every browser that has this page open. */
import { bindDraft, openList, type Id } from "tidemark";

const photos = await openList({
  url: "",
  user: "demo",
  list: "selected-images",
  fields: ["description"],
  warnBeforeClose: true,
});

const find = <E extends Element>(selector: string) => document.querySelector<E>(selector)!;
const rows = find<HTMLOListElement>("ol");

// ---- Writing ----------------------------------------------------------------------------

find<HTMLFormElement>("form").onsubmit = (event) => {
  event.preventDefault();
  const form = event.currentTarget as HTMLFormElement;
  photos.add(String(new FormData(form).get("image")));
  form.reset();
};
find<HTMLButtonElement>("#sort").onclick = () =>
  photos.setSort(photos.sort.snapshot() === "asc" ? "desc" : "asc");

// ---- One row ----------------------------------------------------------------------------

/** Shows one item for as long as it is on the list. */
function makeRow(id: Id) {
  const row = document.createElement("li");
  const image = document.createElement("b");
  const input = document.createElement("input");
  const receipt = document.createElement("small");
  const remove = document.createElement("button");
  input.ariaLabel = "Description";
  remove.textContent = "Remove";
  remove.onclick = () => photos.remove(id);
  row.append(image, input, receipt, remove);

  const show = () => {
    image.textContent = photos.item(id).snapshot()?.imageId ?? "";
    receipt.dataset.receipt = photos.receipt(id).snapshot() ?? "";
  };
  show();
  const ways = [
    photos.item(id).subscribe(show),
    photos.receipt(id).subscribe(show),
    bindDraft(photos, id, "description", input), // what is typed belongs to the page until it is written
  ];
  return { row, leave: () => ways.forEach((out) => out()) };
}

// ---- All rows ---------------------------------------------------------------------------

const shown = new Map<Id, ReturnType<typeof makeRow>>();

function showRows() {
  const ids = photos.ids.snapshot();
  for (const [id, { row, leave }] of shown) {
    if (ids.includes(id)) continue;
    leave();
    row.remove();
    shown.delete(id);
  }
  ids.forEach((id, i) => {
    const made = shown.get(id) ?? makeRow(id);
    shown.set(id, made);
    if (rows.children[i] !== made.row) rows.insertBefore(made.row, rows.children[i] ?? null);
  });
}

// ---- How things stand -------------------------------------------------------------------

function showStatus() {
  const { phase, pending, volatile } = photos.status.snapshot();
  find("[role=status]").textContent =
    phase === "stopped"
      ? "Stopped: please reload the page"
      : volatile > 0
        ? "This browser's storage is full: please stay until all is saved"
        : pending > 0
          ? `${pending} on their way`
          : phase === "live"
            ? "All saved"
            : "Offline";
}

photos.ids.subscribe(showRows);
photos.status.subscribe(showStatus);
photos.onProblem(({ detail }) => console.warn(detail));
showRows();
showStatus();
