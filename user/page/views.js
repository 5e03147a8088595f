/* The two views: all processes, and one of them. */
const ROWS_AT_FIRST = 100;

function facts(pairs) {
	return element("dl", {}, pairs.filter((p) => p && p[1] !== null && p[1] !== undefined).map(([term, value]) =>
		element("div", {}, element("dt", {}, term), element("dd", {}, value))));
}

function losses(entries, what) {
	if (!entries.length) return null;
	return element("p", { class: "notice" }, what + " lost: " + entries.map(([cause, n]) => `${count(n)} ${shown(cause)}`).join(", "));
}

/* A verdict's sentence; sites that it names by fingerprint are links with their function's name. */
function evidence(process, text) {
	const pieces = shown(text).split(/\b([0-9a-f]{16})\b/).map((piece, i) => {
		const site = i % 2 && process.sites.find((s) => s.site === piece);
		return site ? element("a", { href: `#/p/${process.key}/site/${piece}`, title: piece }, siteName(site)) : piece;
	});
	return element("p", { class: "evidence" }, pieces, ".");
}

/* columns: {title, value(row), cell(row), numeric, optional}. Sorted by the column at `by`, biggest first. */
function sortedTable(columns, rows, { onpick, isPicked, by, id }) {
	const body = element("tbody"), more = element("button", { class: "more", type: "button" });
	let descending = true, limit = ROWS_AT_FIRST, visible = rows;
	const fill = () => {
		const sorted = by < 0 ? visible : [...visible].sort((a, b) => {
			const [x, y] = [columns[by].value(a), columns[by].value(b)];
			const way = typeof x === "string" || typeof y === "string" ? String(y).localeCompare(String(x)) : (y ?? -Infinity) - (x ?? -Infinity) || 0;
			return descending ? way : -way;
		});
		body.replaceChildren(...sorted.slice(0, limit).map((row) => element("tr", { class: isPicked(row) ? "picked" : null, onclick: (e) => e.target.closest("a") || onpick(row) },
			columns.map((c) => element("td", { class: [c.numeric && "num", c.optional && "optional", c.name && "name"].filter(Boolean).join(" ") }, c.cell(row))))));
		more.hidden = sorted.length <= limit;
		more.textContent = `Show all ${count(sorted.length)}`;
	};
	more.addEventListener("click", () => { limit = Infinity; fill(); });
	const head = columns.map((c, i) => element("th", { scope: "col", class: [c.numeric && "num", c.optional && "optional"].filter(Boolean).join(" ") },
		c.value ? element("button", { type: "button", onclick: () => { descending = by === i ? !descending : true; by = i; fill(); } }, c.title) : c.title));
	fill();
	const node = element("div", {}, element("div", { class: "wide" }, element("table", { id }, element("thead", {}, element("tr", {}, head)), body)), more);
	return { node, show: (some) => { visible = some; fill(); }, refill: fill };
}

function listView(model, picked) {
	const columns = [
		{ title: "Process", name: true, value: (p) => p.record.comm || "", cell: (p) => [element("a", { href: "#/p/" + p.key }, shown(p.record.comm || "?")), element("span", { class: "faint" }, " " + p.record.pid)] },
		{ title: "Verdict", value: (p) => p.record.verdict || "", cell: (p) => badge(p.record.verdict) },
		{ title: "Outstanding", numeric: true, value: (p) => p.record.outstanding_bytes, cell: (p) => bytes(p.record.outstanding_bytes) },
		{ title: "Growth", numeric: true, value: (p) => p.record.growth_bytes_per_second, cell: (p) => rate(p.record.growth_bytes_per_second) },
		{ title: "To limit", numeric: true, optional: true, value: (p) => (p.record.seconds_to_limit === null ? null : -p.record.seconds_to_limit), cell: (p) => (p.record.seconds_to_limit === null ? "" : seconds(p.record.seconds_to_limit)) },
		{ title: "RSS", numeric: true, optional: true, value: (p) => p.record.rss_bytes, cell: (p) => bytes(p.record.rss_bytes) },
		{ title: "Over time", optional: true, cell: (p) => sparkline(p.series) },
	];
	const table = sortedTable(columns, model.processes, { by: -1, id: "processes", isPicked: (p) => model.processes.indexOf(p) === picked, onpick: (p) => (location.hash = "#/p/" + p.key) });
	return [losses([...model.lost], "Events"),
		model.bad ? element("p", { class: "notice" }, `${count(model.bad)} records of this page cannot be read`) : null,
		model.end ? null : element("p", { class: "notice" }, "The trace has no end record: it was cut short, or it is still running."),
		element("h2", {}, model.processes.length === 1 ? "1 process" : count(model.processes.length) + " processes"), table.node];
}

function survival(site) {
	const ages = [["1 s", "survival_1s"], ["10 s", "survival_10s"], ["1 min", "survival_1m"], ["10 min", "survival_10m"]];
	const names = Object.keys(site).filter((k) => k.startsWith("survival"));
	const rows = names.filter((k) => site[k] !== null).map((k) => {
		const age = (ages.find((a) => a[1] === k) || [k.replace(/^survival_?/, "").replaceAll("_", " ")])[0];
		return element("div", {}, element("span", { class: "faint" }, `still there after ${age}: ${percent(site[k])}`),
			drawing("svg", { class: "bar", viewBox: "0 0 100 4", preserveAspectRatio: "none" }, drawing("rect", { width: Math.min(100, site[k] * 100), height: 4 })));
	});
	return rows.length ? [element("h3", {}, "Survival"), ...rows] : [];
}

function stackList(stack) {
	return element("ol", { class: "stack" }, stack.frames.map((f) => element("li", {}, element("b", {}, frameName(f)), " ", element("span", { class: "faint" }, framePlace(f)))),
		stack.truncated ? element("li", { class: "warn" }, "The stack ends here: " + shown(stack.truncated)) : null);
}

/* An error at free: who frees, who had freed, who allocated. */
function freeError(e) {
	return element("details", {}, element("summary", {}, `${e.error.replace("-", " ")} of ${e.address}`, e.size_bytes ? ` (${bytes(e.size_bytes)})` : "",
		e.count > 1 ? `, ${count(e.count)} times` : "", e.allocated_with ? `, of ${shown(e.allocated_with)}, freed as if of ${shown(e.freed_with)}` : ""),
		[["Freed by", e], ["Freed before that by", e.freed], ["Allocated by", e.allocation]].filter(([, stack]) => stack)
			.map(([title, stack]) => [element("h4", {}, title), stackList(stack)]).flat());
}

function freeErrors(process) {
	const n = process.errors.length;
	return n ? element("section", { id: "errors" }, element("h3", {}, `${count(n)} error${n > 1 ? "s" : ""} at free`), process.errors.map(freeError)) : null;
}

function siteDetail(process, site) {
	return element("section", { id: "site" },
		element("h3", {}, "Site ", element("span", { class: "mono" }, site.site), " ", badge(site.verdict)),
		site.evidence ? element("p", { class: "evidence" }, shown(site.evidence) + ".") : null,
		site.suppressed ? element("p", { class: "notice" }, "Suppressed by " + shown(site.suppressed)) : null,
		facts([["Outstanding", bytes(site.outstanding_bytes) + (site.interval_bytes ? " ± " + bytes(site.interval_bytes) : "")], ["Blocks", count(site.outstanding_allocations)],
			["Growth", rate(site.growth_bytes_per_second)], ["Allocated", `${bytes(site.allocated_bytes)} in ${count(site.allocations)}`],
			["Freed", `${bytes(site.freed_bytes)} in ${count(site.frees)}`], ["Oldest", seconds(site.oldest_age_seconds)],
			["Median age", seconds(site.median_age_seconds)], ["Kind", site.kind], ["Confidence", percent(site.confidence || 0)]]),
		survival(site),
		element("h3", {}, "Stack"),
		stackList(site));
}

function processFacts(r) {
	return facts([["Outstanding", bytes(r.outstanding_bytes) + (r.interval_bytes ? " ± " + bytes(r.interval_bytes) : "")], ["Blocks", count(r.outstanding_allocations)],
		["Growth", rate(r.growth_bytes_per_second)], ["Time to limit", r.seconds_to_limit === null ? null : seconds(r.seconds_to_limit)],
		["Limit", r.limit_bytes ? bytes(r.limit_bytes) : null], ["RSS", bytes(r.rss_bytes)],
		["Allocated", `${bytes(r.allocated_bytes)} in ${count(r.allocations)}`], ["Freed", `${bytes(r.freed_bytes)} in ${count(r.frees)}`],
		["Container", r.container ? shown(r.container_name || r.container) : null], ["Pod", r.pod ? shown((r.namespace || "?") + "/" + r.pod) : null],
		["Executable", r.exe ? shown(r.exe) : null], ["Ended", r.ended ? shown(r.ended) + (r.oom_killed ? ", for want of memory" : "") : null]]);
}

function processView(model, process, siteId) {
	const r = process.record, site = process.sites.find((s) => s.site === siteId);
	const go = (id) => (location.hash = `#/p/${process.key}/site/${id}`);
	const flame = flameGraph(process, go);
	const columns = [
		{ title: "Site", name: true, value: siteName, cell: (s) => [element("a", { href: `#/p/${process.key}/site/${s.site}` }, siteName(s)), element("span", { class: "faint" }, " " + sitePlace(s))] },
		{ title: "Verdict", value: (s) => s.verdict || "", cell: (s) => badge(s.verdict) },
		{ title: "Outstanding", numeric: true, value: (s) => s.outstanding_bytes, cell: (s) => bytes(s.outstanding_bytes) },
		{ title: "Blocks", numeric: true, optional: true, value: (s) => s.outstanding_allocations, cell: (s) => count(s.outstanding_allocations) },
		{ title: "Growth", numeric: true, value: (s) => s.growth_bytes_per_second, cell: (s) => rate(s.growth_bytes_per_second) },
		{ title: "Oldest", numeric: true, optional: true, value: (s) => s.oldest_age_seconds, cell: (s) => seconds(s.oldest_age_seconds) },
	];
	const table = sortedTable(columns, process.sites, { by: 2, id: "sites", isPicked: (s) => s.site === siteId, onpick: (s) => go(s.site) });
	const filter = element("input", { type: "search", placeholder: "Filter sites by any frame", "aria-label": "filter sites",
		oninput: () => {
			const text = filter.value.toLowerCase();
			table.show(process.sites.filter((s) => s.frames.some((f) => (frameName(f) + " " + framePlace(f)).toLowerCase().includes(text)) || siteName(s).toLowerCase().includes(text)));
		} });
	const nodes = [element("h2", {}, shown(r.comm || "?"), element("span", { class: "faint" }, " " + r.pid + " "), badge(r.verdict)),
		r.evidence ? evidence(process, r.evidence) : null,
		losses(Object.entries(r.lost || {}), "Of this process"), r.governed ? element("p", { class: "notice" }, shown(r.governed)) : null,
		processFacts(r), (r.notes || []).map((n) => element("p", { class: "notice" }, shown(n))),
		siteId && !site ? element("p", { class: "notice" }, "This report has no site " + shown(siteId)) : null,
		site ? siteDetail(process, site) : null, freeErrors(process),
		element("h3", {}, "Outstanding over time, by site"), stackedPlot(process),
		element("h3", {}, "Outstanding by stack"), flame.node,
		element("h3", {}, "Sites"), element("div", { class: "tools" }, filter), table.node];
	return { nodes: nodes.flat(), flame };
}
