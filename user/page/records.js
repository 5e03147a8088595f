/* The page's data: seep's ndjson records. Of reports that were followed by another there are only `moment` records, one a
 * process, for what changes over time; of each process's last report there is everything. */
const RANKS = { leak: 0, growing: 1, "outside-malloc": 2, fragmentation: 2, unknown: 3, "warming-up": 3, churn: 4, steady: 5 };

/* An exec begins another program under the same pid, and a pid may come again: the last one by that key takes what comes,
 * until its final record. */
function processOf(model, record) {
	const base = record.pid + "." + (record.start_time ? Date.parse(record.start_time) : 0);
	let key = base;
	for (let n = 2; model.byKey.get(key) && model.byKey.get(key).closed; n++) key = base + "-" + n;
	let process = model.byKey.get(key);
	if (!process) {
		process = { key, record, series: [], sites: [], errors: [], closed: false };
		model.byKey.set(key, process);
	}
	return process;
}

function readRecords(text) {
	const model = { session: {}, end: null, byKey: new Map(), bad: 0, lastTime: 0, lost: new Map() };
	let current = new Map(), sequence = null;
	for (const line of text.split("\n")) {
		if (!line.trim()) continue;
		let record;
		try {
			record = JSON.parse(line);
		} catch {
			model.bad++;
			continue;
		}
		const time = Date.parse(record.time);
		if (record.type === "session") model.session = record;
		else if (record.type === "end") model.end = record;
		else if (record.type === "moment") {
			processOf(model, record).series.push({ time, bytes: record.outstanding_bytes, sites: new Map(record.sites) });
		} else if (record.type === "process") {
			if (record.sequence !== sequence) current = new Map();
			sequence = record.sequence;
			const process = processOf(model, record);
			process.record = record;
			process.closed = true;
			process.series.push({ time, bytes: record.outstanding_bytes, sites: new Map() });
			current.set(record.process, process);
			for (const [cause, n] of Object.entries(record.session_lost || {}))
				model.lost.set(cause, Math.max(n, model.lost.get(cause) || 0));
		} else if (record.type === "site") {
			const process = current.get(record.process);
			if (!process) continue;
			process.sites.push(record);
			process.series.at(-1).sites.set(record.site, record.outstanding_bytes);
		} else if (record.type === "error") {
			current.get(record.process)?.errors.push(record);
		}
		if (time > model.lastTime) model.lastTime = time;
	}
	if (model.end) model.lost = new Map(Object.entries(model.end.lost || {}));
	model.processes = [...model.byKey.values()].filter((p) => p.closed);
	const order = (p) => RANKS[p.record.verdict] ?? RANKS.unknown;
	model.processes.sort((a, b) => order(a) - order(b) ||
		(b.record.growth_bytes_per_second || 0) - (a.record.growth_bytes_per_second || 0) ||
		b.record.outstanding_bytes - a.record.outstanding_bytes);
	for (const p of model.processes) p.sites.sort((a, b) => b.outstanding_bytes - a.outstanding_bytes);
	return model;
}

/* The frame that tells a site from others: the first that is no allocator's or standard library's own. */
const PLUMBING = /^(operator new|__?libc_|malloc|calloc|realloc|std::|void\* std::|__gnu_cxx|alloc::|core::|g_malloc|mmap|posix_memalign)/;
function siteName(site) {
	const frame = site.frames.find((f) => f.function && !PLUMBING.test(f.function)) || site.frames[0];
	return frame ? frameName(frame) : "[no stack]";
}
function sitePlace(site) {
	const frame = site.frames.find((f) => f.function && !PLUMBING.test(f.function)) || site.frames[0];
	return !frame ? "" : frame.file ? shown(baseName(frame.file)) + (frame.line ? ":" + frame.line : "")
		: frame.module ? shown(baseName(frame.module)) : "";
}
