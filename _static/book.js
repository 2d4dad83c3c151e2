/* One Code switch a page; large pictures in place. Loaded in the head: the class comes first, so
   that nothing jumps. Without scripts the boxes of code stay, each to be opened by itself. */
(() => {
  const root = document.documentElement;
  const KEY = "lnqbook-code";

  function remembered() {
    try { return localStorage.getItem(KEY) === "on"; } catch { return false; }
  }

  function show(on) {
    root.dataset.code = on ? "on" : "off";
    for (const cell of document.querySelectorAll("details.code-cell")) cell.open = on;
    for (const button of document.querySelectorAll("button.code-switch"))
      button.setAttribute("aria-pressed", String(on));
    try { localStorage.setItem(KEY, on ? "on" : "off"); } catch { /* not remembered then */ }
  }

  function addSwitch() {
    const bar = document.querySelector(".article-header-buttons");
    if (!bar || !document.querySelector("details.code-cell")) return;
    const button = document.createElement("button");
    button.className = "code-switch btn btn-sm";
    button.type = "button";
    button.title = "Show or hide the code of this page";
    button.textContent = "Code";
    button.addEventListener("click", () => show(root.dataset.code !== "on"));
    bar.prepend(button);
  }

  /* Titles in the contents do not break after the hyphen of Q-learning. */
  function keepNames() {
    const places = ".navbar-brand, .bd-sidebar a, .bd-sidebar-primary .title, .prev-next-title";
    for (const place of document.querySelectorAll(places)) {
      const texts = document.createTreeWalker(place, NodeFilter.SHOW_TEXT), found = [];
      while (texts.nextNode()) if (/[QR]-\w/.test(texts.currentNode.data)) found.push(texts.currentNode);
      for (const text of found) {
        const parts = text.data.split(/([QR]-\w+)/).map((part, odd) => {
          if (odd % 2 === 0) return part;
          const span = document.createElement("span");
          span.className = "unbroken";
          span.textContent = part;
          return span;
        });
        text.replaceWith(...parts);
      }
    }
  }

  /* A click on a picture shows it in a dialog as large as the window; other clicks, as with Ctrl,
     and browsers without dialogs follow the link to the picture. */
  function enlarge(event) {
    const link = event.target.closest?.("a.enlarge");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !window.HTMLDialogElement) return;
    event.preventDefault();
    const figure = link.closest("figure") ?? link.closest(".figure-tools").previousElementSibling;
    const small = figure.querySelector("img");
    const dialog = document.createElement("dialog");
    dialog.className = "large-picture";
    dialog.setAttribute("aria-label", "Large picture; Escape closes it");
    const close = document.createElement("button");
    close.type = "button";
    close.className = "btn btn-sm";
    close.textContent = "Close";
    const box = document.createElement("div");
    box.tabIndex = 0; // scrolls with the keyboard
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Picture");
    const image = document.createElement("img");
    image.src = small.src;
    image.alt = small.alt;
    box.append(image);
    dialog.append(close, box);
    document.body.append(dialog);
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (click) => { if (click.target === dialog) dialog.close(); });
    dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
    dialog.showModal();
  }

  /* A table wider than its place sets its intervals below their values, then their ends below one
     another in smaller type; on a phone it may still scroll. */
  function fitTables() {
    for (const [step, joint] of [["fitted", "\u00a0["], ["small", "\u00a0"]])
      for (const table of document.querySelectorAll(`table.dataframe:not(.${step})`)) {
        const place = table.closest(".output, details, .cell_output");
        if (!place || !table.offsetWidth || table.offsetWidth <= place.clientWidth) continue;
        table.classList.add(step);
        const texts = document.createTreeWalker(table, NodeFilter.SHOW_TEXT);
        while (texts.nextNode()) {
          const text = texts.currentNode, broken = joint.replace("\u00a0", " ");
          if (text.data.trim().includes(joint)) text.data = text.data.replaceAll(joint, broken);
        }
      }
    reachable();
  }

  /* What scrolls sideways can be reached with the keyboard, and only while it does. */
  function reachable() {
    const boxes = ".cell_output, .output, figure, div.math, pre, .pst-scrollable-table-container";
    for (const box of document.querySelectorAll(boxes)) {
      const scrolls = box.scrollWidth > box.clientWidth + 1;
      if (scrolls) box.tabIndex = 0;
      else if (box.tabIndex === 0) box.removeAttribute("tabindex");
    }
  }

  /* Sphinx writes the parameters of a long signature as a definition list without terms. */
  function nameParameters() {
    for (const list of document.querySelectorAll("dt.sig dl")) {
      list.setAttribute("role", "list");
      for (const item of list.children) item.setAttribute("role", "listitem");
    }
  }

  root.dataset.code = remembered() ? "on" : "off";
  document.addEventListener("DOMContentLoaded", () => {
    addSwitch();
    keepNames();
    nameParameters();
    show(root.dataset.code === "on");
    document.addEventListener("click", enlarge);
    fitTables();
    window.addEventListener("resize", fitTables);
    document.addEventListener("toggle", fitTables, true); // a box was opened
  });
})();
