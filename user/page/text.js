/* Figures for people, as the text format writes them, and the one way by which this page makes elements: text is only
 * ever set as text, since names come from traced programs. */
function bytes(n) {
	if (n === null || n === undefined) return "?";
	const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
	let value = Math.abs(n), unit = 0;
	while (unit + 1 < units.length && value >= (unit ? 1023.95 : 1023.5)) {
		value /= 1024;
		unit++;
	}
	return (n < 0 && value >= 0.5 ? "-" : "") + value.toFixed(unit ? 1 : 0) + " " + units[unit];
}

function seconds(s) {
	if (s === null || s === undefined || s < 0) return "?";
	if (s === 0) return "0 s";
	if (s < 1) return s < 0.001 ? "<1 ms" : Math.floor(s * 1000) + " ms";
	if (s < 10) return (Math.floor(s * 10) / 10).toFixed(1) + " s";
	const whole = Math.floor(s);
	if (s < 60) return whole + " s";
	if (s < 3600) return Math.floor(whole / 60) + " m " + (whole % 60) + " s";
	if (s < 86400) return Math.floor(whole / 3600) + " h " + (Math.floor(whole / 60) % 60) + " m";
	return Math.floor(whole / 86400) + " d " + (Math.floor(whole / 3600) % 24) + " h";
}

const count = (n) => (n === null || n === undefined ? "?" : n.toLocaleString("en"));
const rate = (n) => (n === null || n === undefined ? "?" : (n > 0 ? "+" : "") + bytes(n) + "/s");
const percent = (n) => (n * 100).toFixed(n < 0.1 ? 1 : 0) + "%";
const moment = (ms) => new Date(ms).toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC");

/* What would steer the reader's eye instead of being read: control characters and directional overrides. */
function shown(name) {
	return String(name).replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, (c) =>
		"\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

function element(tag, attributes, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes || {}))
		if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
		else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
	for (const child of children.flat())
		if (child !== null && child !== undefined && child !== false) node.append(child);
	return node;
}

function drawing(tag, attributes, ...children) {
	const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
	for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
	node.append(...children);
	return node;
}

const baseName = (path) => path.slice(path.lastIndexOf("/") + 1) || path;

function frameName(frame) {
	if (frame.function) return shown(frame.function);
	if (!frame.module) return "[unmapped] " + (frame.address || "");
	return shown(baseName(frame.module)) + "+0x" + (frame.offset || 0).toString(16);
}

function framePlace(frame) {
	const parts = [];
	if (frame.file) parts.push(shown(frame.file) + (frame.line ? ":" + frame.line : ""));
	if (frame.module && frame.function) parts.push("(" + shown(frame.module) + ")");
	if (frame.inlined) parts.push("[inlined]");
	return parts.join(" ");
}

const verdictTone = (v) =>
	({ leak: "bad", growing: "warn", fragmentation: "warn", "outside-malloc": "warn", steady: "good", churn: "good" })[v] || "faint";
const badge = (verdict) => element("span", { class: "badge " + verdictTone(verdict) }, verdict || "unknown");
