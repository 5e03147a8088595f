/* Address to view, and the keyboard. */
const model = readRecords(document.getElementById("records").textContent);
let picked = 0, flame = null;

function parts() {
	const [, key, , site] = location.hash.match(/^#\/p\/([^/]+)(\/site\/([0-9a-f]+))?$/) || [];
	return { process: key === undefined ? null : model.byKey.get(key) || undefined, key, site };
}

function render() {
	const view = document.getElementById("view"), { process, key, site } = parts();
	let nodes;
	flame = null;
	if (process && process.closed) {
		picked = model.processes.indexOf(process);
		({ nodes, flame } = processView(model, process, site));
	} else {
		nodes = listView(model, picked);
		if (key !== undefined) nodes.unshift(element("p", { class: "notice" }, "This report has no process " + shown(key)));
	}
	document.title = "seep: " + (process ? shown(process.record.comm || process.record.pid) : shown(model.session.hostname || "report"));
	view.replaceChildren(...nodes.filter(Boolean));
	const detail = document.getElementById("site");
	if (detail) detail.scrollIntoView({ block: "nearest" });
	else scrollTo(0, 0);
}

/* Down and up: through the processes, or the sites of one. */
function move(by) {
	const { process, site } = parts();
	if (!process) {
		picked = Math.max(0, Math.min(model.processes.length - 1, picked + by));
		render();
	} else if (process.sites.length) {
		const at = process.sites.findIndex((s) => s.site === site);
		const next = Math.max(0, Math.min(process.sites.length - 1, at + by));
		location.hash = `#/p/${process.key}/site/${process.sites[next].site}`;
	}
}

function back() {
	const { process, site } = parts();
	if (document.activeElement && document.activeElement.tagName === "INPUT") document.activeElement.blur();
	if (flame && flame.isChanged()) flame.reset();
	else if (process) location.hash = site ? "#/p/" + process.key : "#/";
}

addEventListener("keydown", (event) => {
	if (event.ctrlKey || event.altKey || event.metaKey) return;
	const typing = event.target.tagName === "INPUT";
	if (event.key === "Escape") back();
	else if (typing) return;
	else if (event.key === "/") document.querySelector("input[type=search]")?.focus();
	else if (event.key === "ArrowDown" || event.key === "j") move(1);
	else if (event.key === "ArrowUp" || event.key === "k") move(-1);
	else if (event.key === "Enter" && !parts().process && event.target === document.body && model.processes[picked]) location.hash = "#/p/" + model.processes[picked].key;
	else return;
	event.preventDefault();
});
addEventListener("hashchange", render);

function sessionLine() {
	const s = model.session, last = model.lastTime;
	return [s.hostname && shown(s.hostname), s.kernel && "Linux " + shown(s.kernel), s.time && moment(Date.parse(s.time)),
		s.time && last ? "over " + seconds((last - Date.parse(s.time)) / 1000) : null,
		s.mode && (s.mode === "exact" ? "exact" : `sampled by ${s.sampling}`), (s.targets || []).map(shown).join(", "),
		model.end && "ended: " + shown(model.end.why)].filter(Boolean).join(" · ");
}

document.getElementById("session").textContent = sessionLine();
document.getElementById("footer").append("seep " + shown(model.session.version || "") + ". Keys: ", element("kbd", {}, "/"), " search, ",
	element("kbd", {}, "↑"), " ", element("kbd", {}, "↓"), " move, ", element("kbd", {}, "Enter"), " open, ", element("kbd", {}, "Esc"), " back.");
render();
