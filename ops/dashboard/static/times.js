// Times as people read them.

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

const LATEST = 8.64e15; // ms; a Date holds no more, and formatting it would throw

const formatted = (form, ms) => (Math.abs(ms) <= LATEST ? form.format(ms) : "at an unknown time");

export const clockOf = (ms) => formatted(clock, ms);
export const dayOf = (ms) => formatted(day, ms);

export function ageOf(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3_600) return `${Math.floor(s / 60)} min`;
  return s < 86_400 ? `${Math.floor(s / 3_600)} h` : `${Math.floor(s / 86_400)} d`;
}

export function durationOf(ms) {
  if (ms === null || ms === undefined) return "–";
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}
