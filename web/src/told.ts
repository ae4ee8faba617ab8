/** told.ts - what the engine tells, in the application's words. */
import type { EngineEvent, Receipt } from "./core.js";
import type { DeadLetter, Direction, Id, Superseded } from "./types.js";

export function supersededOf<F extends string>({
  instance,
  field,
  mine,
  winner,
}: EngineEvent): Superseded<F> {
  if (instance === "")
    return Object.freeze({ kind: "sort", mine: mine as Direction, winner: winner as Direction });
  if (field === "") return Object.freeze({ kind: "removed", item: instance });
  return Object.freeze({ kind: "field", item: instance, field: field as F, mine, winner });
}

export function deadLetterOf<F extends string>(dead: {
  operation: Record<string, unknown>;
  code: string;
}): DeadLetter<F> {
  const { id, type, instanceId: item, imageId, data, sort } = dead.operation;
  const given = Object.entries({ item, imageId, data, sort }).filter(
    ([, value]) => value !== undefined,
  );
  return Object.freeze({
    id,
    type,
    code: dead.code,
    ...Object.fromEntries(given),
  }) as DeadLetter<F>;
}

/** How far each item's edits are; the same map while that says the same. */
export function receiptsOf(
  said: { readonly [instance: string]: Receipt },
  old: ReadonlyMap<Id, Receipt>,
): ReadonlyMap<Id, Receipt> {
  const next = Object.entries(said);
  const same = next.length === old.size && next.every(([id, receipt]) => old.get(id) === receipt);
  return same ? old : new Map(next);
}
