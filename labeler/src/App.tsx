/** App.tsx - the page: what there is on the left, what was chosen on the right. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { flushSync } from "react-dom";
import type { Id } from "tidemark";
import { useReadable } from "tidemark/react";
import type { Begun, Photos } from "./begin.js";
import { Catalogue } from "./Catalogue.js";
import { loadCatalogue, titleOf, type Catalogue as Known, type Photo } from "./catalogue.js";
import { countChosen } from "./chosen.js";
import { Icon } from "./icons.js";
import { watchLosses } from "./losses.js";
import { Notices } from "./Notices.js";
import { Selected } from "./Selected.js";
import { StatusLine } from "./StatusLine.js";
import { thumbs } from "./thumbs.js";
import { Toast, useToast } from "./Toast.js";

/** What is not needed every day comes when it is asked for; the service worker has it too. */
const loadMenu = () => import("./Menu.js");
type Begin = Parameters<(typeof import("./Menu.js"))["default"]>[0]["begin"];

export function App({ opening }: { opening: Begun }) {
  const opened = useReadable(opening);
  if (opened.state === "open")
    return <Labeler key={opened.user} user={opened.user} list={opened.list} />;
  const failed = opened.state === "failed";
  return (
    <main className="opening" data-testid="opening">
      <img src="/icon.svg" alt="" width="56" height="56" />
      <h1>Photo labeler</h1>
      {failed ? (
        <>
          <p role="alert">
            <b>The list does not open</b>
            <br />
            {opened.problem}
          </p>
          <button type="button" onClick={() => location.reload()}>
            Try again
          </button>
        </>
      ) : (
        <p role="status">
          {opened.waiting ? (
            <>
              <b>The server does not answer</b>
              <br />
              This browser has not met it yet; trying again…
            </>
          ) : (
            "Opening your list…"
          )}
        </p>
      )}
    </main>
  );
}

function Labeler({ user, list }: { user: string; list: Photos }) {
  const [known, loadAgain] = useCatalogue(list);
  const losses = useMemo(() => watchLosses(list), [list]);
  const chosen = useMemo(() => countChosen(list), [list]);
  const photos = useMemo(
    () =>
      new Map((known.state === "ready" ? known.photos : []).map((photo) => [photo.imageId, photo])),
    [known],
  );
  const [pane, setPane] = useState<"photos" | "list">("photos");
  const [fresh, setFresh] = useState<Id>();
  const [menu, setMenu] = useState<{
    begin: Begin;
    Menu: (typeof import("./Menu.js"))["default"];
  }>();
  const [toast, say] = useToast();
  const opener = useRef<HTMLButtonElement>(null);
  const count = useReadable(list.ids).length;

  const add = useCallback(
    (photo: Photo) => {
      setFresh(list.add(photo.imageId).id);
      say({ words: `Added ${titleOf(photo.name)}`, quiet: true });
    },
    [list, say],
  );
  const drop = useCallback(
    (imageId: string) => {
      const photo = photos.get(imageId);
      if (photo) add(photo);
    },
    [photos, add],
  );
  const remove = useCallback(
    (id: Id) => {
      const item = list.item(id).snapshot();
      if (!item || list.remove(id) === "gone") return;
      const photo = photos.get(item.imageId);
      const { id: _, imageId, ...data } = item;
      say({
        words: `Removed ${photo ? titleOf(photo.name) : "a photo"}`,
        undo: () => setFresh(list.add(imageId, data).id),
      });
    },
    [list, photos, say],
  );
  const go = useCallback((to: "photos" | "list") => {
    flushSync(() => setPane(to)); // what is hidden cannot be focused
    document.querySelector<HTMLElement>(targets[to])?.focus();
  }, []);
  const show = useCallback(
    (begin: Begin) => {
      loadMenu().then(
        ({ default: Menu }) => setMenu({ begin, Menu }),
        () =>
          say({
            words: "This part of the page is not here yet, and there is no network",
            warn: true,
          }),
      );
    },
    [say],
  );
  useShortcuts(go, show);
  useRoom(list);

  return (
    <>
      <header>
        <img src="/icon.svg" alt="" width="28" height="28" />
        <h1>Photo labeler</h1>
        <StatusLine list={list} />
        <span className="user" data-testid="user" title={`This is ${user}'s list`}>
          <bdi>{user}</bdi>
        </span>
        <button
          type="button"
          className="plain"
          ref={opener}
          data-testid="menu"
          title="More"
          aria-label="More: keys, rescue file"
          aria-haspopup="dialog"
          onClick={() => show("menu")}
        >
          <Icon name="menu" />
        </button>
      </header>
      <main className="panes" data-pane={pane}>
        <Catalogue known={known} chosen={chosen} add={add} again={loadAgain} />
        <Selected
          list={list}
          photos={photos}
          known={known.state === "ready"}
          losses={losses}
          drop={drop}
          remove={remove}
          fresh={fresh}
        />
      </main>
      <nav aria-label="Panes">
        <button
          type="button"
          aria-current={pane === "photos"}
          data-testid="go-photos"
          onClick={() => setPane("photos")}
        >
          Photos
        </button>
        <button
          type="button"
          aria-current={pane === "list"}
          data-testid="go-list"
          onClick={() => setPane("list")}
        >
          Selected <span className="count">{count || ""}</span>
        </button>
      </nav>
      <div className="corner">
        <Notices list={list} losses={losses} rescue={() => show("rescue")} />
        <Toast toast={toast} />
      </div>
      {menu && (
        <menu.Menu
          list={list}
          user={user}
          begin={menu.begin}
          say={say}
          close={() => {
            setMenu(undefined);
            opener.current?.focus();
          }}
        />
      )}
    </>
  );
}

const targets = { photos: ".tile[tabindex='0']", list: "[data-testid=rows] input" };

/** The photos there are; asked for again when the network is back, or the page is looked at. */
function useCatalogue(list: Photos): [Known, () => void] {
  const [known, setKnown] = useState<Known>({ state: "loading" });
  const load = useCallback(() => {
    loadCatalogue().then(
      (photos) => setKnown({ state: "ready", photos }),
      (error: unknown) =>
        setKnown((old) =>
          old.state === "ready" ? old : { state: "failed", problem: (error as Error).message },
        ),
    );
  }, []);
  const again = useCallback(() => {
    setKnown({ state: "loading" });
    load();
  }, [load]);
  useEffect(load, [load]);
  const online = useReadable(list.status).connection !== "offline";
  const was = useRef(online);
  useEffect(() => {
    if (online && !was.current) {
      thumbs.again();
      load();
    }
    was.current = online;
  }, [online, load]);
  return [known, again];
}

/** Storage is refused to edits: pictures give theirs back, and the way out is fetched in time. */
function useRoom(list: Photos): void {
  const full = useReadable(list.status).volatile > 0;
  useEffect(() => {
    if (!full) return;
    void thumbs.yieldStorage();
    loadMenu().catch(() => {}); // said when it is asked for
  }, [full]);
}

/** Keys that work wherever nothing is being typed; Menu.tsx shows them. */
function useShortcuts(go: (to: "photos" | "list") => void, show: (begin: Begin) => void): void {
  useEffect(() => {
    const pressed = (event: globalThis.KeyboardEvent): void => {
      const { target, code, key, altKey, ctrlKey, metaKey } = event;
      if (ctrlKey || metaKey || document.querySelector("dialog[open]")) return;
      if (altKey && code === "KeyP") go("photos");
      else if (altKey && code === "KeyL") go("list");
      else if (altKey || target instanceof HTMLInputElement) return;
      else if (key === "/") document.querySelector<HTMLElement>("[data-testid=find]")?.focus();
      else if (key === "?") show("keys");
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [go, show]);
}
