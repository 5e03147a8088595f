/* A flame graph of outstanding bytes, callers above what they call. Narrower than a pixel or so is left out of the drawing,
 * not of the sums. */
const ROW_PIXELS = 20;
const NARROWEST = 0.0008;

function flameTree(process) {
	const root = { name: shown(process.record.comm || "pid " + process.record.pid), bytes: 0, blocks: 0, children: new Map(), parent: null, site: null };
	for (const site of process.sites) {
		if (!site.outstanding_bytes || site.suppressed) continue;
		let node = root;
		const add = (n) => {
			n.bytes += site.outstanding_bytes;
			n.blocks += site.outstanding_allocations;
		};
		add(root);
		const names = site.frames.map((f) => [frameName(f), framePlace(f)]).reverse();
		if (site.truncated) names.unshift(["[stack ends: " + shown(site.truncated) + "]", ""]);
		if (!names.length) names.push(["[no stack]", ""]);
		for (const [name, place] of names) {
			if (!node.children.has(name)) node.children.set(name, { name, place, bytes: 0, blocks: 0, children: new Map(), parent: node, site: null });
			node = node.children.get(name);
			add(node);
		}
		node.site = site.site;
	}
	return root;
}

function warmColor(name) {
	let hash = 0;
	for (let i = 0; i < name.length; i++) hash = (hash * 31 + name.charCodeAt(i)) >>> 0;
	return `hsl(${12 + (hash % 38)} ${70 + (hash % 17)}% ${66 + ((hash >> 8) % 10)}%)`;
}

function flameGraph(process, onPick) {
	const root = flameTree(process), box = element("div", { class: "flame", role: "group", "aria-label": "flame graph" });
	const status = element("span", { class: "faint" });
	const search = element("input", { type: "search", placeholder: "Search frames  ( / )", "aria-label": "search frames" });
	let zoomed = root;
	const draw = () => {
		const found = search.value.toLowerCase();
		let deepest = 0, foundBytes = 0;
		const put = (node, depth, left, width, above, counted) => {
			const hit = found && node.name.toLowerCase().includes(found);
			if (hit && !counted && !above) foundBytes += node.bytes;
			deepest = Math.max(deepest, depth);
			const button = element("button", { class: (above ? "above " : "") + (hit ? "found" : ""), type: "button",
				title: `${node.name}\n${node.place || ""}\n${bytes(node.bytes)}, ${percent(node.bytes / root.bytes)} of all, ${count(node.blocks)} blocks`,
				onclick: () => { zoomed = node; draw(); if (node.site && !node.children.size) onPick(node.site); } }, node.name);
			button.style.left = left * 100 + "%";
			button.style.width = width * 100 + "%";
			button.style.top = depth * ROW_PIXELS + "px";
			button.style.background = warmColor(node.name);
			box.append(button);
			return hit || counted;
		};
		const below = (node, depth, left, width, counted) => {
			const inside = put(node, depth, left, width, false, counted);
			let at = left;
			for (const child of [...node.children.values()].sort((a, b) => b.bytes - a.bytes)) {
				const share = (width * child.bytes) / node.bytes;
				if (share >= NARROWEST || found) below(child, depth + 1, at, share, inside);
				at += share;
			}
		};
		box.replaceChildren();
		box.classList.toggle("searching", !!found);
		const path = [];
		for (let n = zoomed.parent; n; n = n.parent) path.unshift(n);
		path.forEach((n, depth) => put(n, depth, 0, 1, true, false));
		if (root.bytes) below(zoomed, path.length, 0, 1, false);
		box.style.height = (deepest + 1) * ROW_PIXELS + "px";
		status.textContent = found ? `${bytes(foundBytes)}, ${percent(root.bytes ? foundBytes / zoomed.bytes : 0)} has it` : "";
	};
	search.addEventListener("input", draw);
	const reset = () => { zoomed = root; search.value = ""; draw(); };
	draw();
	const node = element("div", {}, element("div", { class: "tools" }, search, element("button", { type: "button", onclick: reset }, "Reset"), status), box);
	return { node, reset, isChanged: () => zoomed !== root || search.value !== "" };
}
