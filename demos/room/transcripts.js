// What each client has read, and whether it is the same.

/** Says how transcripts, lists of ids, stand to each other: "same"; "behind", where some lack the end; "differ". Who came later lacks the
 * beginning, which is no difference. */
export function compare(transcripts) {
  const longest = transcripts.reduce((long, ids) => (ids.length > long.length ? ids : long));
  if (!transcripts.every((ids) => agree(longest, ids))) return "differ";
  return transcripts.every((ids) => ids.at(-1) === longest.at(-1)) ? "same" : "behind";
}

/** Whether what both have read is one unbroken run in each of them. */
function agree(one, other) {
  const [left, right] = [shared(one, new Set(other)), shared(other, new Set(one))];
  return left.length === right.length && left.every((id, index) => id === right[index]);
}

function shared(ids, others) {
  const known = ids.map((id) => others.has(id));
  return known.includes(true) ? ids.slice(known.indexOf(true), known.lastIndexOf(true) + 1) : [];
}
