/** icons.tsx - small drawings; each stands beside words, or carries them as its label. */
const shapes = {
  check: "M3.5 8.5l3 3 6-7",
  seen: "M1.5 8.5l3 3 5.5-7M7.5 10.8l.8.7 6-7",
  ring: "M8 3.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 0 1 0-9z",
  disk: "M8 3a5 5 0 1 1 0 10a5 5 0 0 1 0-10zM8 6.8v2.4M6.8 8h2.4",
  warn: "M8 2.2l6.3 11.3H1.7zM8 6.4v3.2M8 11.5v.1",
  cross: "M4 4l8 8M12 4l-8 8",
  refused: "M8 2.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 0 1 0-11zM5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4",
  sync: "M13 6.5A5.3 5.3 0 0 0 3.6 5M3 9.5A5.3 5.3 0 0 0 12.4 11M3.4 2.4V5.2h2.8M12.6 13.6v-2.8H9.8",
  away: "M2 2.5l12 11M5.6 5.2A3.6 3.6 0 0 0 2.4 9a3 3 0 0 0 3 3h5.8M7.8 4.6a3.6 3.6 0 0 1 3.6 2.9a2.4 2.4 0 0 1 2 3.5",
  plus: "M8 3.5v9M3.5 8h9",
  find: "M7 2.5a4.5 4.5 0 1 1 0 9a4.5 4.5 0 0 1 0-9zM10.4 10.4l3.4 3.4",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  up: "M8 13V3M4 7l4-4 4 4",
  down: "M8 3v10M4 9l4 4 4-4",
  picture: "M2 3.5h12v9H2zM2.5 11l3.2-3.4 2.4 2.4 2.2-2 3.2 3M10.6 6.1v.1",
} as const;

export type IconName = keyof typeof shapes;

export const Icon = ({ name }: { name: IconName }) => (
  <svg className="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
    <path d={shapes[name]} />
  </svg>
);
