/** StatusLine.tsx - the one line that says how things stand. */
import { useEffect, useState } from "react";
import type { Connection, Status } from "tidemark";
import { useReadable } from "tidemark/react";
import type { Photos } from "./begin.js";
import { Icon, type IconName } from "./icons.js";

/** A page that has just begun is not offline yet, nor one whose line is being opened again. */
const GRACE_MS = 1500;
/** A change that arrives sooner is not worth a flicker. */
const CALM_MS = 400;

const ways: { readonly [connection in Connection]: string } = {
  push: "Connected: what others change is shown at once.",
  longpoll: "Connected by long poll.",
  poll: "Connected by polling, every few seconds.",
  offline: "Not connected.",
};

export const changes = (count: number): string => `${count} ${count === 1 ? "change" : "changes"}`;

type Line = readonly [icon: IconName, words: string, tone?: "warn" | "quiet"];

function lineOf({ connection, pending, volatile, drafts, phase }: Status, since: string): Line {
  if (phase === "stopped") return ["warn", "Stopped: reload the page", "warn"];
  if (volatile > 0) return ["warn", `${changes(volatile)} only in this page`, "warn"];
  if (connection === "offline" && since) {
    const kept = pending > 0 ? `${changes(pending)} kept here` : "all saved";
    return ["away", `Offline since ${since} · ${kept}`];
  }
  if (connection === "offline") return ["sync", "Connecting…", "quiet"];
  if (pending > 0) return ["sync", `${changes(pending)} on ${pending === 1 ? "its" : "their"} way`];
  if (drafts > 0) return ["ring", "Typing…", "quiet"];
  if (phase === "syncing") return ["sync", "Catching up…", "quiet"];
  return ["check", "All changes saved"];
}

export function StatusLine({ list }: { list: Photos }) {
  const status = useReadable(list.status);
  const { connection, phase, pending, volatile, safeToClose } = status;
  const since = useOfflineSince(connection);
  const line = lineOf(status, since);
  // Said at once if it is bad, or over; else only if it lasts.
  const pressing = line[2] === "warn" || connection === "offline" || (pending === 0 && safeToClose);
  const [icon, words, tone] = useCalm(line, pressing);
  return (
    <p
      className="status"
      role="status"
      title={`${ways[connection]} ${safeToClose ? "It is safe to close this page." : "Do not close this page yet."}`}
      data-testid="status"
      data-connection={connection}
      data-phase={phase}
      data-pending={pending}
      data-volatile={volatile}
      data-safe={safeToClose}
      data-tone={tone}
    >
      <Icon name={icon} />
      <span>{words}</span>
    </p>
  );
}

/** The line, but not one that is gone again within the blink of an eye. */
function useCalm(line: Line, pressing: boolean): Line {
  const [shown, setShown] = useState(line);
  const words = line[1];
  useEffect(() => {
    if (pressing) return setShown(line);
    const timer = setTimeout(() => setShown(line), CALM_MS);
    return () => clearTimeout(timer);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the words are the line
  }, [words, pressing]);
  return shown;
}

/** The time of day at which the connection was lost; "" while it stands, or shortly after. */
function useOfflineSince(connection: Connection): string {
  const [since, setSince] = useState("");
  useEffect(() => {
    if (connection !== "offline") return setSince("");
    const lost = new Date();
    const timer = setTimeout(
      () => setSince(lost.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })),
      GRACE_MS,
    );
    return () => clearTimeout(timer);
  }, [connection]);
  return since;
}
