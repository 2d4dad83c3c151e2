(() => {
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const root = document.getElementById("explorer");
  const form = root.querySelector("form"), status = root.querySelector(".status");
  const plot = root.querySelector(".plot"), table = root.querySelector(".points");
  const chosen = root.querySelector(".chosen");
  const ALL = "all";
  const FIELD_NAMES = { env: "task", norm: "network", optimizer: "optimizer", lr: "learning rate η",
    bias: "biases", lr_control: "control of the learning rate", momentum: "momentum of the statistics",
    terminal_mask: "terminal mask", gradient_scale: "gradient scale", target_period: "target period",
    arm: "intervention", data: "data", dataset_size: "size of the dataset", steps: "steps" };
  const SCALES = ["as usual", "linear", "logarithmic", "signed logarithm", "ranks"];
  const START = { study: Object.keys(data.studies)[0], env: ALL, norm: ALL, optimizer: data.optimizer, x: "gi2", y: "loss",
    color: "norm", statistic: "mean", clamped: "with", xscale: SCALES[0], yscale: SCALES[0], selected: "" };
  const PALETTE = ["#0173b2", "#de8f05", "#029e73", "#882255", "#56b4e9", "#a3190f", "#332288", "#949494",
    "#117733", "#cc78bc"];
  let state = { ...START }, selected = new Set(), drawing = false;

  const study = () => data.studies[state.study];
  const size = () => study().seeds.length;
  const named = (name) => data.names[name] ?? FIELD_NAMES[name] ?? name.replaceAll("_", " ");
  const shown = (name, value) => name === "norm" ? data.networks[value] ?? value : String(value);
  const field = (name, i) => study().fields[name]?.[i];
  const unique = (values) => [...new Set(values)];

  function value(name, i) {
    if (study().fields[name]) return study().fields[name][i];
    if (name === "clamped share") return 1 - study().calm[i] / study().seeds[i];
    const calm = state.clamped === "without" ? ", calm" : "";
    return study().values[name]?.[state.statistic + calm][i] ?? null;
  }

  function quantities() {
    const numbers = Object.keys(study().fields).filter((name) => typeof field(name, 0) === "number");
    return [...numbers, ...Object.keys(study().values), "clamped share"];
  }

  function choices() {
    const fields = study().fields, of = (name) => [ALL, ...unique(fields[name] ?? [])];
    return {
      study: Object.keys(data.studies), env: of("env"), norm: of("norm"), optimizer: of("optimizer"),
      x: quantities(), y: quantities(),
      color: Object.keys(fields).filter((name) => name !== "steps"),
      statistic: ["mean", "median"], clamped: ["with", "without"], xscale: SCALES, yscale: SCALES,
    };
  }

  const LABELS = { study: "Study", env: "Task", norm: "Network", optimizer: "Optimizer", x: "Horizontal (x)",
    y: "Vertical (y)", color: "Color", statistic: "Over seeds", clamped: "Clamped runs", xscale: "Scale of x",
    yscale: "Scale of y" };

  function controls() {
    const allowed = choices();
    for (const [name, options] of Object.entries(allowed)) {
      if (!options.map(String).includes(String(state[name])))
        state[name] = options.includes(START[name]) ? START[name] : options[0];
      let select = form.querySelector(`select[name="${name}"]`);
      if (!select) {
        const label = document.createElement("label");
        label.textContent = LABELS[name];
        select = document.createElement("select");
        select.name = name;
        label.append(select);
        form.append(label);
        select.addEventListener("change", () => { state[name] = select.value; selected.clear(); draw(); });
      }
      select.replaceChildren(...options.map((option) => {
        const text = name === "norm" && option !== ALL ? shown("norm", option)
          : name === "study" ? option.replaceAll("_", " ") : named(String(option));
        return new Option(text, option, false, String(option) === String(state[name]));
      }));
      select.disabled = options.length < 2;
    }
  }

  function drawn() {
    const keep = (name, i) => state[name] === ALL || !study().fields[name]
      || String(field(name, i)) === state[name];
    return [...Array(size()).keys()].filter((i) => ["env", "norm", "optimizer"].every((name) => keep(name, i))
      && Number.isFinite(value(state.x, i)) && Number.isFinite(value(state.y, i)));
  }

  /* Ranks from 1, ties at their mean. */
  function ranks(values) {
    const order = values.map((v, i) => [v, i]).sort((a, b) => a[0] - b[0]), rank = Array(values.length);
    for (let i = 0; i < order.length;) {
      let j = i;
      while (j < order.length && order[j][0] === order[i][0]) j++;
      for (let k = i; k < j; k++) rank[order[k][1]] = (i + j + 1) / 2;
      i = j;
    }
    return rank;
  }

  /* Spearman's rho. */
  function rho(xs, ys) {
    const a = ranks(xs), b = ranks(ys), mid = (xs.length + 1) / 2;
    let ab = 0, aa = 0, bb = 0;
    a.forEach((x, i) => { ab += (x - mid) * (b[i] - mid); aa += (x - mid) ** 2; bb += (b[i] - mid) ** 2; });
    return aa && bb ? ab / Math.sqrt(aa * bb) : NaN;
  }

  function scaleOf(name, asked) {
    if (asked !== SCALES[0]) return asked;
    return data.log.includes(name) ? "logarithmic" : data.signedLog.includes(name) ? "signed logarithm" : "linear";
  }

  const power = (exponent) => `10${[...String(exponent)].map((c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("")}`;

  /* Where values lie on an axis, and its ticks: signed logarithms are linear below the unit. */
  function axis(values, kind, title) {
    const common = { title: { text: title }, automargin: true, zeroline: false };
    if (kind === "logarithmic") return { at: (v) => v, layout: { ...common, type: "log", exponentformat: "power" } };
    if (kind === "ranks") {
      const place = new Map(ranks(values).map((rank, i) => [values[i], rank]));
      return { at: (v) => place.get(v), layout: { ...common, title: { text: `${title}, rank` } } };
    }
    if (kind !== "signed logarithm") return { at: (v) => v, layout: common };
    const sizes = values.map(Math.abs).filter((v) => v > 0).sort((a, b) => a - b);
    const unit = 10 ** Math.floor(Math.log10(sizes[Math.floor(sizes.length / 10)] ?? 1));
    const at = (v) => Math.sign(v) * Math.log10(1 + Math.abs(v) / unit);
    const top = Math.max(1, ...sizes.map((v) => Math.ceil(Math.log10(v)))), low = Math.log10(unit);
    const ends = [Math.min(0, ...values), Math.max(0, ...values)].map(at);
    const room = (ends[1] - ends[0]) / 6, ticks = [0], names = ["0"];
    for (const sign of [1, -1]) for (let e = top; e >= low; e--) {
      const place = at(sign * 10 ** e); // from the outside in, where there is room
      if (place < ends[0] || place > ends[1] || ticks.some((t) => Math.abs(t - place) < room)) continue;
      ticks.push(place);
      names.push((sign < 0 ? "−" : "") + power(Math.round(e)));
    }
    return { at, layout: { ...common, tickvals: ticks, ticktext: names, tickangle: 0 } };
  }

  /* Four digits, beyond six places as 2.5 × 10⁻¹⁶. */
  function short(v) {
    if (typeof v !== "number") return String(v);
    const size = Math.abs(v), text = v.toPrecision(4);
    if (!size || (size >= 1e-4 && size < 1e6)) return String(Number(text)).replace("-", "−");
    const [digits, exponent] = Number(text).toExponential().split("e");
    return `${digits.replace("-", "−")} × ${power(Number(exponent))}`;
  }
  const describe = (i) => Object.keys(study().fields).map((n) => `${named(n)}: ${shown(n, n === "lr" ? short(field(n, i)) : field(n, i))}`);

  function draw() {
    controls();
    const points = drawn(), envs = unique(points.map((i) => field("env", i)));
    remember();
    const xs = points.map((i) => value(state.x, i)), ys = points.map((i) => value(state.y, i));
    const rhos = envs.map((env) => {
      const mine = points.filter((i) => field("env", i) === env);
      const found = rho(mine.map((i) => value(state.x, i)), mine.map((i) => value(state.y, i)));
      return `${env} ${Number.isFinite(found) ? found.toFixed(2).replace("-", "−") : "none"}`;
    });
    status.textContent = `${points.length} points, ${selected.size} of them selected. `
      + `Spearman’s ρ of the points drawn: ${rhos.join(", ")}.`;
    list(points);
    tell();
    if (window.Plotly) figure(points, envs, xs, ys);
    else plot.textContent = "The plot needs plotly’s script, which the built book has; the table below does not.";
  }

  function figure(points, envs, xs, ys) {
    const columns = Math.min(envs.length, plot.clientWidth < 600 ? 1 : 2) || 1;
    const rows = Math.ceil(envs.length / columns) || 1;
    const ink = getComputedStyle(root).color, groups = unique(study().fields[state.color] ?? []);
    const layout = { grid: { rows, columns, pattern: "independent" }, height: 360 * rows + 60, dragmode: "select",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink, size: 12 },
      legend: { orientation: "h", y: 1.08, yanchor: "bottom" }, margin: { t: 70, r: 10, l: 60, b: 50 }, annotations: [] };
    const traces = [];
    envs.forEach((env, panel) => {
      const n = panel ? panel + 1 : "", mine = points.filter((i) => field("env", i) === env);
      const X = axis(mine.map((i) => value(state.x, i)), scaleOf(state.x, state.xscale), named(state.x));
      const Y = axis(mine.map((i) => value(state.y, i)), scaleOf(state.y, state.yscale), named(state.y));
      const grid = { gridcolor: "rgba(128,128,128,0.25)" };
      layout[`xaxis${n}`] = { ...X.layout, ...grid };
      layout[`yaxis${n}`] = { ...Y.layout, ...grid };
      layout.annotations.push({ text: env, xref: `x${n} domain`, yref: `y${n} domain`, x: 0.5, y: 1.02,
        yanchor: "bottom", showarrow: false });
      groups.forEach((group, g) => {
        const part = mine.filter((i) => field(state.color, i) === group);
        if (!part.length) return;
        const color = state.color === "norm" ? data.colors[group] ?? PALETTE[g % 10] : PALETTE[g % 10];
        traces.push({ type: "scatter", mode: "markers", x: part.map((i) => X.at(value(state.x, i))),
          y: part.map((i) => Y.at(value(state.y, i))), customdata: part, xaxis: `x${n}`, yaxis: `y${n}`,
          name: shown(state.color, state.color === "lr" ? short(group) : group), legendgroup: String(group),
          showlegend: !traces.some((t) => t.legendgroup === String(group)), hoverinfo: "text",
          hovertext: part.map((i) => [...describe(i), `${named(state.x)}: ${short(value(state.x, i))}`,
            `${named(state.y)}: ${short(value(state.y, i))}`,
            `${study().seeds[i]} seeds, ${study().seeds[i] - study().calm[i]} clamped`].join("<br>")),
          selectedpoints: selected.size ? part.map((i, k) => selected.has(i) ? k : -1).filter((k) => k >= 0) : null,
          marker: { color, size: 9, symbol: part.map((i) => study().calm[i] < study().seeds[i] ? "triangle-up" : "circle"),
            line: { color: ink, width: 0.5 } } });
      });
    });
    drawing = true;
    Plotly.react(plot, traces, layout, { responsive: true, displaylogo: false }).then(() => { drawing = false; });
    if (plot.dataset.bound || !plot.on) return;
    plot.dataset.bound = "yes";
    plot.on("plotly_click", (event) => choose(event.points.map((p) => p.customdata), true));
    plot.on("plotly_selected", (event) => { if (!drawing && event?.points?.length) choose(event.points.map((p) => p.customdata), false); });
    plot.on("plotly_deselect", () => { if (!drawing) choose([], false); });
  }

  /* Selected points carry over: the same settings in the other tasks are selected with them. */
  function choose(points, toggle) {
    const same = (i) => Object.keys(study().fields).filter((n) => n !== "env").map((n) => field(n, i)).join("|");
    const kinds = new Set(points.map(same)), all = drawn().filter((i) => kinds.has(same(i)));
    const off = toggle && points.length && points.every((i) => selected.has(i));
    selected = toggle ? selected : new Set();
    for (const i of all) off ? selected.delete(i) : selected.add(i);
    draw();
  }

  function list(points) {
    const names = Object.keys(study().fields), drawnNames = unique([state.x, state.y]).filter((n) => !names.includes(n));
    const made = document.createElement("table"), head = made.createTHead().insertRow();
    made.createCaption().textContent = "The points drawn";
    made.caption.className = "visually-hidden";
    for (const name of ["point", ...names, ...drawnNames, "seeds", "clamped"]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = named(name);
      head.append(cell);
    }
    const body = made.createTBody();
    for (const i of points) {
      const row = body.insertRow(), button = document.createElement("button");
      if (selected.has(i)) row.className = "selected";
      button.type = "button";
      button.dataset.point = i;
      button.textContent = selected.has(i) ? "selected" : "select";
      button.setAttribute("aria-pressed", String(selected.has(i)));
      button.setAttribute("aria-label", `Point ${i + 1}: ${describe(i).join(", ")}`);
      button.addEventListener("click", () => { choose([i], true); root.querySelector(`[data-point="${i}"]`)?.focus(); });
      row.insertCell().append(button);
      for (const name of names) row.insertCell().textContent = shown(name, name === "lr" ? short(field(name, i)) : field(name, i));
      for (const name of drawnNames) row.insertCell().textContent = short(value(name, i));
      row.insertCell().textContent = study().seeds[i];
      row.insertCell().textContent = study().seeds[i] - study().calm[i];
    }
    table.replaceChildren(made);
  }

  function python(i, more) {
    const literal = (v) => typeof v === "string" ? JSON.stringify(v) : typeof v === "boolean" ? (v ? "True" : "False") : String(v);
    return [...Object.keys(study().fields).map((name) => `${name}=${literal(field(name, i))}`), more].join(", ");
  }

  function tell() {
    const [first] = selected;
    if (first === undefined) return chosen.replaceChildren();
    const text = document.createElement("p"), code = document.createElement("pre");
    text.textContent = selected.size > 1
      ? `The first of ${selected.size} selected points, one run of it, and the lines that look its runs up or train them:`
      : "The selected point, one run of it, and the lines that look its runs up or train them:";
    const start = study().first[first], end = start + study().seeds[first];
    code.tabIndex = 0;
    code.textContent = `RunSpec(${python(first, `seed=${start}`)})\n\n`
      + `from lnqlib.spec import grid\nfrom lnqlib.sweep import sweep\n\n`
      + `runs = sweep(grid(${python(first, `seed=range(${start}, ${end})`)}))`;
    chosen.replaceChildren(text, code);
  }

  function download() {
    const names = Object.keys(study().fields), metrics = Object.keys(study().values);
    const points = selected.size ? [...selected] : drawn();
    const quoted = (v) => v === null || v === undefined ? "" : /[",\n]/.test(v) ? `"${String(v).replaceAll('"', '""')}"` : v;
    const lines = [[...names, "seeds", "clamped", ...metrics].join(",")];
    for (const i of points) lines.push([...names.map((n) => field(n, i)), study().seeds[i],
      study().seeds[i] - study().calm[i], ...metrics.map((m) => value(m, i))].map(quoted).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
    link.download = `${state.study}.${state.statistic}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function remember() {
    const kept = { ...state, selected: [...selected].join(".") };
    const changed = Object.entries(kept).filter(([name, v]) => String(v) !== String(START[name]));
    const hash = new URLSearchParams(changed).toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  }

  function recall() {
    const kept = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    state = { ...START };
    for (const name of Object.keys(START)) if (name in kept) state[name] = kept[name];
    if (!data.studies[state.study]) state.study = START.study;
    selected = new Set((kept.selected ?? "").split(".").filter(Boolean).map(Number).filter((i) => i < size()));
    draw();
  }

  root.querySelector(".clear").addEventListener("click", () => choose([], false));
  root.querySelector(".download").addEventListener("click", download);
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", recall);
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  recall();
})();
