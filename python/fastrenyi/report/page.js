// Draws the figures of the page, in its colours, at the step of the slider.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figures = read("figures"), steps = read("steps"), names = read("quantities");
  const slider = document.getElementById("step"), said = document.getElementById("step-said");
  const quantity = document.getElementById("quantity"), layer = document.getElementById("layer");
  const config = { responsive: true, displaylogo: false, toImageButtonOptions: { format: "svg" },
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  const few = 8; // curves: of more layers together, bands would hide each other

  const theme = () => {
    const page = getComputedStyle(document.body);
    const axis = { gridcolor: getComputedStyle(document.querySelector("hr")).borderTopColor, zerolinecolor: page.color,
      zerolinewidth: 1, linecolor: page.color, title: { standoff: 8, font: { size: 13 } } };
    return { layout: { font: { color: page.color, family: page.fontFamily, size: 13 }, xaxis: axis, yaxis: axis,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      modebar: { bgcolor: "rgba(0,0,0,0)", color: page.color, activecolor: page.color },
      hoverlabel: { bgcolor: page.backgroundColor, font: { color: page.color } } } };
  };

  const curves = (figure) => {
    const wanted = figure.data.filter(({ meta }) => meta.quantity === quantity.value
      && (layer.value === "" || meta.layer === layer.value));
    const crowded = new Set(wanted.map((trace) => trace.name)).size > few;
    figure.layout.yaxis.title.text = names[quantity.value] + (quantity.value.endsWith("_share") ? "" : " (bits)");
    return crowded ? wanted.filter((trace) => trace.mode === "lines+markers") : wanted;
  };

  // Of the figures that change with the step, or of those named.
  const moving = Object.keys(figures).filter((name) => name !== "curves");
  const draw = (drawn) => {
    const step = steps[slider.value], template = theme();
    said.textContent = step;
    slider.setAttribute("aria-valuetext", `step ${step}`);
    return Promise.all(drawn.map((name) => {
      const figure = figures[name];
      const data = name === "curves" ? curves(figure) : [...figure.data, ...(figure.steps[step] ?? [])];
      return Plotly.react(document.getElementById(name), data, { ...figure.layout, template }, config);
    }));
  };

  const all = () => draw(Object.keys(figures));
  let waiting = false; // of many steps that the slider passes between two frames, the last is drawn
  slider.addEventListener("input", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(moving); });
  });
  for (const choice of [quantity, layer]) choice.addEventListener("change", () => draw(["curves"]));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", all);
  document.getElementById("theme").addEventListener("click", () => {
    const now = document.documentElement.style.colorScheme || (dark.matches ? "dark" : "light");
    document.documentElement.style.colorScheme = now === "dark" ? "light" : "dark";
    all();
  });
  all().then(() => document.body.setAttribute("data-drawn", ""));
})();
