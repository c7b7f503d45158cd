// Draws the figures of the page, in its colours, of the method and order that are chosen, at the step of the slider.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const at = (id) => document.getElementById(id);
  const views = read("views"), steps = read("steps"), names = read("quantities"), onBlack = read("on-black");
  const slider = at("step"), said = at("step-said"), method = at("method"), order = at("order");
  const config = { responsive: true, displaylogo: false, toImageButtonOptions: { format: "svg" },
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  const few = 8; // curves: of more layers together, bands would hide each other
  let figures = views[0].figures;

  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.style.colorScheme || (prefersDark.matches ? "dark" : "light")) === "dark";
  const coloured = (data) => isDark() ? JSON.parse(JSON.stringify(data).replace(/(?<=")#[0-9a-f]{6}/g,
    (colour) => onBlack[colour] ?? colour)) : data;
  const theme = () => {
    const page = getComputedStyle(document.body);
    const axis = { gridcolor: getComputedStyle(document.querySelector("hr")).borderTopColor, zerolinecolor: page.color,
      zerolinewidth: 1, linecolor: page.color, title: { standoff: 8, font: { size: 13 } } };
    return { layout: { font: { color: page.color, family: page.fontFamily, size: 13 }, xaxis: axis, yaxis: axis,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      modebar: { bgcolor: "rgba(0,0,0,0)", color: page.color, activecolor: page.color },
      hoverlabel: { bgcolor: page.backgroundColor, font: { color: page.color } } } };
  };

  // Figures of which a reader chooses what they show; all others show the step of the slider.
  const chosen = {
    curves: (figure) => {
      const quantity = at("quantity").value, layer = at("layer").value;
      const wanted = figure.data.filter(({ meta }) => meta.quantity === quantity
        && (layer === "" || meta.layer === layer));
      const crowded = new Set(wanted.map((trace) => trace.legendgroup)).size > few;
      figure.layout.yaxis.title.text = names[quantity] + (quantity.endsWith("_share") ? "" : " (bits)");
      return crowded ? wanted.filter((trace) => trace.mode === "lines+markers") : wanted;
    },
    pairs: (figure) => {
      const wanted = figure.data.filter(({ meta }) => meta.layer === at("pairs-layer").value && meta.run === at("run").value
        && meta.measure === at("measure").value && meta.moment === at("moment").value);
      figure.layout.title.text = wanted[0]?.name ?? "";
      return wanted;
    },
  };
  const nothing = { height: 120, xaxis: { visible: false }, yaxis: { visible: false }, annotations: [{ showarrow: false,
    text: "not measured, or not kept", xref: "paper", yref: "paper", x: 0.5, y: 0.5 }] };
  const shown = (name) => {
    const figure = figures[name];
    return name in chosen ? chosen[name](figure) : [...figure.data, ...(figure.steps[steps[slider.value]] ?? [])];
  };

  const drawable = Object.keys(figures).filter(at);
  const moving = drawable.filter((name) => !(name in chosen));
  const draw = (drawn) => {
    const template = theme();
    said.textContent = steps[slider.value];
    slider.setAttribute("aria-valuetext", `step ${steps[slider.value]}`);
    return Promise.all(drawn.map((name) => {
      const data = shown(name);
      tell(name, data);
      const layout = data.length ? figures[name].layout : nothing;
      return Plotly.react(at(name), coloured(data), { ...layout, template }, config);
    }));
  };

  // What the mouse tells, as a table, which is made as long as it is open.
  const digits = (value) => value === null || value === undefined ? "" : value.toFixed(3);
  const rowOf = (cells, tag) => `<tr>${cells.map((cell, k) => k && tag === "td" ? `<td>${cell}</td>`
    : `<th scope="${tag === "th" ? "col" : "row"}">${cell}</th>`).join("")}</tr>`;
  const tableOf = (figure, data) => {
    if (figure.told === "z") {
      return data.map(({ x, y, z }) => [["Maps", ...x], ...z.map((row, k) => [y[k], ...row.map(digits)])])[0] ?? [[]];
    }
    const curves = figure.told === "y";
    const rows = [[curves ? "Step" : "Layer", curves ? "Layer" : "Shown", "Quantity", "Value", "±"]];
    for (const trace of data.filter(({ hoverinfo }) => hoverinfo !== "skip")) for (const axis of figure.told) {
      const { title } = figure.layout[`${axis}axis${(trace[`${axis}axis`] ?? "").slice(1)}`];
      const bars = trace[`error_${axis}`]?.array ?? trace.customdata ?? [];
      trace[axis].forEach((value, k) => value === null || rows.push([curves ? trace.x[k] : trace.text[k], trace.name,
        title.text, digits(value), digits(bars[k]) + (curves ? trace.text?.[k] ?? "" : "")]));
    }
    return rows;
  };
  const tell = (name, data) => {
    const told = document.querySelector(`details[data-of="${name}"]`);
    if (!told.open) return;
    const [head, ...rows] = tableOf(figures[name], data);
    const caption = name in chosen ? "" : `<caption>Step ${steps[slider.value]}; ± is the bar of the figure</caption>`;
    told.lastElementChild.innerHTML = `<table>${caption}<thead>${rowOf(head, "th")}</thead>`
      + `<tbody>${rows.map((row) => rowOf(row, "td")).join("")}</tbody></table>`;
  };
  for (const name of drawable) {
    document.querySelector(`details[data-of="${name}"]`).addEventListener("toggle", () => tell(name, shown(name)));
  }

  const all = () => draw(drawable);
  const look = () => {
    const place = views.findIndex((view) => view.method === method.value && view.order === order.value);
    figures = views[place].figures;
    for (const part of document.querySelectorAll("[data-view]")) part.hidden = part.dataset.view !== String(place);
    return all();
  };
  const orders = () => { // those that the method has been measured with, and the one chosen before if it is among them
    const before = order.value, own = views.filter((view) => view.method === method.value);
    order.replaceChildren(...own.map((view) => new Option(view.order)));
    if (own.some((view) => view.order === before)) order.value = before;
  };
  method.addEventListener("change", () => { orders(); look(); });
  order.addEventListener("change", look);
  let waiting = false; // of many steps that the slider passes between two frames, the last is drawn
  slider.addEventListener("input", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(moving); });
  });
  for (const [name, ids] of Object.entries({ curves: ["quantity", "layer"], pairs: ["pairs-layer", "measure", "moment", "run"] })) {
    if (at(name)) for (const id of ids) at(id).addEventListener("change", () => draw([name]));
  }
  prefersDark.addEventListener("change", all);
  at("theme").addEventListener("click", () => {
    document.documentElement.style.colorScheme = isDark() ? "light" : "dark";
    all();
  });
  orders();
  look().then(() => document.body.setAttribute("data-drawn", ""));
})();
