/* Memory over time: one line in a table's row, or stacked by site. */
const STACKED = 5;

function sparkline(series) {
	const svg = drawing("svg", { class: "spark", viewBox: "0 0 100 20", preserveAspectRatio: "none", "aria-hidden": "true" });
	const top = Math.max(1, ...series.map((s) => s.bytes)), from = series[0].time;
	const span = series.at(-1).time - from || 1;
	const points = series.map((s) => `${(((s.time - from) / span) * 100).toFixed(2)} ${(19 - (s.bytes / top) * 18).toFixed(2)}`);
	if (points.length === 1) points.push(points[0].replace(/^\S+/, "100"));
	svg.append(drawing("path", { d: "M" + points.join("L") }));
	return svg;
}

function layers(process) {
	const shownSites = process.sites.slice(0, STACKED);
	const rows = shownSites.map((site) => ({ name: siteName(site), site, values: process.series.map((s) => s.sites.get(site.site) || 0) }));
	rows.push({
		name: "other sites", site: null,
		values: process.series.map((s, i) => Math.max(0, s.bytes - rows.reduce((sum, r) => sum + r.values[i], 0))),
	});
	return rows;
}

function stackedPlot(process) {
	const series = process.series, from = series[0].time, span = series.at(-1).time - from || 1;
	const rows = layers(process), top = Math.max(1, ...series.map((s) => s.bytes));
	const svg = drawing("svg", { class: "plot", viewBox: "0 0 1000 200", preserveAspectRatio: "none", role: "img",
		"aria-label": "outstanding bytes over time, by site" });
	const x = (i) => ((series[i].time - from) / span) * 1000, y = (n) => 200 - (n / top) * 196;
	const base = series.map(() => 0);
	rows.forEach((row, k) => {
		const lower = series.map((_, i) => `${x(i).toFixed(1)} ${y(base[i]).toFixed(1)}`).reverse();
		row.values.forEach((v, i) => (base[i] += v));
		const upper = series.map((_, i) => `${x(i).toFixed(1)} ${y(base[i]).toFixed(1)}`);
		const path = drawing("path", { class: "s" + k, d: "M" + upper.concat(lower).join("L") + "Z" });
		path.append(drawing("title", {}, row.name));
		svg.append(path);
	});
	const legend = rows.map((row, k) => ({ row, k })).filter(({ row }) => row.values.some((v) => v)).map(({ row, k }) =>
		element("li", {}, drawing("svg", { viewBox: "0 0 1 1" }, drawing("rect", { class: "s" + k, width: 1, height: 1 })),
			row.site ? element("a", { href: `#/p/${process.key}/site/${row.site.site}` }, row.name) : row.name,
			" " + bytes(row.values.at(-1))));
	return element("div", {},
		element("div", { class: "axis" }, element("span", {}, bytes(top)), element("span", {}, series.length + " reports")),
		svg,
		element("div", { class: "axis" }, element("span", {}, moment(from)), element("span", {}, moment(series.at(-1).time))),
		element("ul", { class: "legend" }, legend));
}
