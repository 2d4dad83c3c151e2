/* Plots in the place of their pictures, drawn by plotly as they come into view. The pictures stay
   for print, for pages without scripts and for the large view. Data and frames are in the page. */
(() => {
  const ARROWS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  const USUAL = { responsive: false, displayModeBar: false, doubleClick: false };

  function make(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function draw(figure) {
    const source = figure.querySelector("script.plot-data");
    const spec = JSON.parse(source.textContent), picture = figure.querySelector("img");
    const plot = make("div", { className: "plot", tabIndex: 0 });
    const said = make("p", { className: "visually-hidden" });
    plot.setAttribute("role", "group");
    plot.setAttribute("aria-label", `${picture.alt} Arrow keys go from point to point.`);
    said.setAttribute("aria-live", "polite");
    const hint = "Point at a mark for its numbers; arrow keys go from one to the next.";
    const parts = [plot, said, make("p", { className: "plot-hint", textContent: hint })];
    let data = spec.data;
    if (spec.slider) parts.unshift(slider(spec.slider, (step) => { data = step.data; show(); }));
    source.before(...parts);
    figure.classList.add("plotted");

    [plot.style.minWidth, plot.style.maxWidth] = spec.widths.map((width) => `${width}px`); // it may scroll
    function show() {
      if (plot.clientWidth) Plotly.react(plot, data, { ...spec.layout, width: plot.clientWidth }, USUAL);
    }

    /* The points in reading order: by panel, then from left to right. */
    let at = -1;
    function step(by) {
      const points = plot.data.flatMap((trace, curveNumber) => (trace.hovertext ?? []).map(
        (text, pointNumber) => ({ curveNumber, pointNumber, text, x: trace.x[pointNumber],
          panel: trace.xaxis ?? "x", across: `${trace.xaxis ?? "x"}${trace.yaxis ?? "y"}` })));
      points.sort((a, b) => (a.panel.slice(1) || 1) - (b.panel.slice(1) || 1) || a.x - b.x);
      if (!points.length) return;
      at = (at + by + points.length + (at < 0 && by < 0)) % points.length;
      Plotly.Fx.hover(plot, [points[at]], points[at].across);
      said.textContent = points[at].text.replaceAll("<br>", ". ").replace(/<[^>]+>/g, "");
    }
    plot.addEventListener("keydown", (event) => {
      if (!(event.key in ARROWS)) return;
      event.preventDefault();
      step(ARROWS[event.key]);
    });
    plot.addEventListener("blur", () => { at = -1; Plotly.Fx.unhover(plot); });
    show();
    new ResizeObserver(() => { if (plot.clientWidth !== plot._fullLayout?.width) show(); }).observe(plot);
  }

  /* A native slider, which the arrow keys move. */
  function slider({ label, steps, start }, choose) {
    const shown = make("output", { textContent: steps[start].name });
    const input = make("input", { type: "range", min: 0, max: steps.length - 1, value: start });
    input.setAttribute("aria-valuetext", steps[start].name);
    input.addEventListener("input", () => {
      const step = steps[input.value];
      shown.textContent = step.name;
      input.setAttribute("aria-valuetext", step.name);
      choose(step);
    });
    return make("label", { className: "plot-slider" }, label, input, shown);
  }

  function start() {
    const watch = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries)
        if (isIntersecting) { watch.unobserve(target); draw(target); }
    }, { rootMargin: "400px" });
    for (const source of document.querySelectorAll("figure script.plot-data")) watch.observe(source.closest("figure"));
  }

  document.addEventListener("DOMContentLoaded", () => {
    const script = document.querySelector("script.plotly");
    if (window.Plotly) start();
    else script?.addEventListener("load", start);
  });
})();
