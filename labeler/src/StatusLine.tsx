/** StatusLine.tsx - the one line that says how things stand. */
import { useEffect, useState } from "react";
import type { Connection } from "tidemark";
import { useReadable } from "tidemark/react";
import type { Photos } from "./begin.js";

const lines: { readonly [connection in Connection]: string } = {
  push: "Connected",
  longpoll: "Connected (long poll)",
  poll: "Connected (polling)",
  offline: "Offline",
};

/** A page that has just begun is not offline yet, nor one whose line is being opened again. */
const GRACE_MS = 1500;

export function StatusLine({ list }: { list: Photos }) {
  const { connection, phase, pending, drafts, safeToClose, volatile } = useReadable(list.status);
  const since = useOfflineSince(connection);
  const line =
    connection === "offline"
      ? since
        ? `Offline since ${since}`
        : "Connecting…"
      : lines[connection];
  return (
    <p
      className="status"
      role="status"
      data-testid="status"
      data-connection={connection}
      data-phase={phase}
      data-pending={pending}
      data-safe={safeToClose}
    >
      <span>{line}</span>
      <span data-testid="pending">
        {pending === 0 ? "all saved" : `${pending} ${pending === 1 ? "change" : "changes"} to send`}
      </span>
      <span className={safeToClose ? "" : "unsafe"} data-testid="safe">
        {safeToClose
          ? "safe to close"
          : volatile > 0
            ? "this browser's storage is full: stay until all is saved"
            : drafts > 0
              ? "being typed"
              : ""}
      </span>
    </p>
  );
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
