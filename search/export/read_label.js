// Whether a reply says the label of its row, read as promptfront reads replies.
const CJK = "\u2e80-\u9fff\uf900-\ufaff\uff66-\uff9f";
const UNSPACED = new RegExp(`[${CJK}\uac00-\ud7af\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]`);
const CLOSE = /<\/(?:think|thinking|thought|reasoning)>|\[\/think\]|◁\/think▷|<\|channel\|>final<\|message\|>/i;
const OPEN = /^\s*(?:<(?:think|thinking|thought|reasoning)>|\[think\]|◁think▷|<\|channel\|>analysis)/i;
const NAMES =
  "(?:final answer|correct answer|answer|label|class|category|classification|sentiment|rating|score|" +
  "verdict|prediction|output|result|choice|option|" +
  "最终答案|答案|标签|类别|分类|结果|情感|评分|选项|答え|回答)";
const IS = "\\s*(?:would be\\b|should be\\b|is\\b|[:=>]|→|是|为)\\s*[:=]?\\s?";
const MARKER = new RegExp(
  `(?<![\\p{L}\\p{N}_/])(?:(\\*\\*|__)["'\`<]*${NAMES}["'\`*]*\\s?\\1?${IS}(?:\\*\\*|__)?` +
    `|["'\`<]*${NAMES}["'\`*]*\\s?${IS})` +
    `|\\\\boxed\\{|(?<=[${CJK}])(?:答案|选项)\\s*[:是为]:?`,
  "gu",
);
const NEGATED =
  /(?:(?<![\p{L}\p{N}_])(?:not|never|cannot|neither|nor)|n['’]t)\s+(?:(?:an?|the|very|really|at all|so|that|clearly|exactly|particularly|truly|quite|too|be)\s+){0,2}["'`*“‘]*$|[不没非未][是算]?["'“‘「]?$/u;
const ALTERNATIVE = /[\s"'`*)]*(?:or|and|nor|或|和|还是|[/|&])[\s"'`*(]*/y;
const LED =
  /(?:(?<![\p{L}\p{N}_])(?:is|be|are|it's|that's|choose|chose|pick|select|say|with|option|choice|answer|label|class|category|letter|group|type|grade)|[:=>→]|选|选择|是|为|选项|答案|类)[\s"'`*(]*$/u;
const FOLLOWS =
  /^(?:\s(?:because|since|as|for|due|given|based|is|was)\b|[^\p{L}\p{N}_\s]|\s+[^\p{L}\p{N}_\s]|\s*\n|\s*$|的)/u;
const LINE_HEAD = /^[*_`"]*(?:[).:,\]。，、：]|\s+[-–—]|\s*\n|\s*$|\s(?:because|since|is)\b|的)/;
const DECORATION = "\"'`*_.,:;!?()[]{}<>“”‘’「」『』《》【】。，、$#";
const PAIRS = ["()", "[]", '""', "''", "``", "**", "“”", "‘’", "「」", "『』", "《》", "【】", "{}"];

const isWord = (char) => char !== undefined && /[\p{L}\p{N}\p{M}]/u.test(char);
const quoted = (text) => text.replace(/[.*+?^$(){}|[\]\\]/g, "\\$&");
const fold = (text) =>
  text.normalize("NFKC").toUpperCase().toLowerCase().replace(/[\p{Cf}\ufe00-\ufe0f]/gu, "");
const strip = (text, chars) => {
  let [start, end] = [0, text.length];
  while (start < end && chars.includes(text[start])) start += 1;
  while (end > start && chars.includes(text[end - 1])) end -= 1;
  return text.slice(start, end);
};
const words = (text) => text.trim().split(/\s+/).join(" ");
const names = settings.labels.map((label) => {
  const name = words(fold(label));
  return [...name].some(isWord) ? strip(name, "\"'`*.,:;!?“”‘’。，、") || name : name;
});
const patterns = names.map((name) => {
  const parts = name.split(/[\s_-]+/);
  const spaced = parts.length > 1 && parts.every(Boolean);
  return name && new RegExp(`${quoted(name)}${spaced ? `|${parts.map(quoted).join("[\\s_-]+")}` : ""}`, "y");
});

const ends = (text, edge, step) => {
  const [char, near, far] = [text[edge], text[edge + step], text[edge + 2 * step]];
  if (!isWord(char)) return near !== char;
  if (isWord(near)) return UNSPACED.test(char) || UNSPACED.test(near);
  if (near === undefined) return true;
  if ("-_'’‑".includes(near) && isWord(far) && !UNSPACED.test(far)) return false;
  if (/\p{Nd}/u.test(char)) {
    const signed = step < 0 && "+-−".includes(near) && !isWord(far);
    return !(signed || near === "%" || (".,/".includes(near) && /\p{Nd}/u.test(far ?? "")));
  }
  return !(step > 0 && "+#".includes(near));
};
const isAnswer = (text, start, end, led) => {
  const [before, after] = [text.slice(0, start), text.slice(end)];
  if (PAIRS.some((pair) => before.endsWith(pair[0]) && after.startsWith(pair[1]))) return true;
  const article = "ai".includes(text.slice(start, end)) && !FOLLOWS.test(after);
  if (led || LED.test(before.slice(-20))) return !article;
  return !strip(before.split("\n").at(-1), " *_`\"'(") && LINE_HEAD.test(after);
};
const at = (text, place, led) => {
  let longest;
  patterns.forEach((pattern, label) => {
    if (!pattern) return;
    pattern.lastIndex = place;
    const end = place + (pattern.exec(text)?.[0].length ?? 0);
    if (end === place || (longest && end <= longest.end)) return;
    if (!ends(text, end - 1, 1) || !ends(text, place, -1)) return;
    const letter = names[label].length === 1 && /\p{L}/u.test(names[label]);
    if (!letter || isAnswer(text, place, end, led)) longest = { start: place, end, label };
  });
  return longest;
};
const after = (pattern, text, place) => {
  pattern.lastIndex = place;
  return place + (pattern.exec(text)?.[0].length ?? 0);
};
const said = (text) => {
  const found = [];
  let [ended, negated] = [0, -1];
  for (let place = 0; place < text.length; place += 1) {
    const one = place >= ended ? at(text, place, false) : undefined;
    if (!one) continue;
    ended = one.end;
    const other = negated > 0 && after(ALTERNATIVE, text, negated) === place && place > negated;
    if (other || NEGATED.test(text.slice(Math.max(0, place - 40), place))) negated = ended;
    else found.push(one);
  }
  return found;
};
const atOnce = (text, place) => {
  for (const before of [/\s*/y, /[\s"'`*_(\[{<“‘「『《【$:]*/y]) {
    const first = at(text, after(before, text, place), true);
    if (!first) continue;
    const next = after(ALTERNATIVE, text, first.end);
    const second = next > first.end ? at(text, next, true) : at(text, first.end, true);
    return second ? [first.label, second.label] : [first.label];
  }
  return [];
};
const afterMarker = (text, all) => {
  for (const marker of [...text.matchAll(MARKER)].reverse()) {
    const place = marker.index + marker[0].length;
    const once = atOnce(text, place);
    const later = once.length ? once : all.filter((one) => one.start >= place).map((one) => one.label);
    if (later.length) return later;
  }
  return [];
};
const read = (reply) => {
  const exact = settings.labels.flatMap((label, i) => (label.trim() === reply.trim() ? [i] : []));
  if (exact.length === 1 && reply.trim()) return exact;
  let text = fold(reply);
  if (OPEN.test(text) && !CLOSE.test(text)) return [];
  text = text.split(CLOSE).at(-1).trim();
  const bare = (name) => {
    if (![...name].some(isWord)) return text;
    const framed = DECORATION.includes(name[0]) || DECORATION.includes(name.at(-1));
    return framed ? strip(text, "\"'`*“”‘’。，") : words(strip(text, `${DECORATION} \n\t`));
  };
  const same = (test) => names.flatMap((name, i) => (name && test(name) ? [i] : []));
  for (const whole of [same((name) => name === text), same((name) => name === bare(name))]) {
    if (whole.length) return whole;
  }
  const all = said(text);
  const marked = afterMarker(text, all);
  return marked.length ? marked : all.map((one) => one.label);
};

const withoutThinking = (text) => {
  const closed = CLOSE.exec(text);
  const before = closed ? text.slice(0, closed.index) : text;
  if (!OPEN.test(text) && (!closed || /<think|\[think/i.test(before))) return text;
  return closed ? withoutThinking(text.slice(closed.index + closed[0].length).trimStart()) : "";
};

let reply = String(output ?? "");
if (settings.marker) {
  reply = withoutThinking(reply);
  for (const stop of settings.stops) reply = reply.split(stop)[0];
  const label = `(?<![\\p{L}\\p{N}_])${quoted(settings.marker)}[*_]*\\s?[:：][*_]*`;
  const marks = [...reply.matchAll(new RegExp(`(?:[*_#]+[ \\t]*)?${label}`, "giu"))];
  const last = marks.at(-1);
  if (last) reply = strip(reply.slice(last.index + last[0].length), " \t\r\n*_");
}
if (settings.plain) reply = reply.trimStart();
for (const stop of settings.ends) reply = reply.split(stop)[0];
const distinct = new Set(read(reply));
return distinct.size === 1 && settings.rows[[...distinct][0]] === context.vars[settings.target];
