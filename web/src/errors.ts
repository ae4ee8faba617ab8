/**
 * errors.ts - every error the package throws is a {@link TidemarkError}: a stable `code` for
 * programs, and a sentence that says what to do. docs/PACKAGE.md has the table of them, and
 * a test provokes each.
 */

/** A mistake of the caller, or a list that cannot take the call any more. */
export interface TidemarkError extends Error {
  /** Stable; the table in docs/PACKAGE.md lists them. */
  readonly code: string;
}

export function fail(code: string, says: string): never {
  throw Object.assign(new Error(`tidemark: ${code}: ${says}`), { code });
}

export const quoted = (text: unknown): string => JSON.stringify(text);

/** What is true when the engine has stopped, wherever that is said. */
export const STOPPED = "what is stored is safe; reload the page";
