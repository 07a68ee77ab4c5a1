/* Plots: uPlot in the place of the static pictures. */
const Charts = (() => {
  const { all, words, marks, colour, on } = Report;
  const HEIGHT = 210;

  const options = (data, width, output) => {
    const shown = (at) => {
      const value = data.points[at] ?? data.aside[at];
      return value ?? null;
    };
    const read = (chart) => {
      const at = chart.cursor.idx;
      const value = at === null || at === undefined ? null : shown(at);
      output.textContent = value === null
        ? ''
        : `${words(data.quantity, value)} at ${words(data.xQuantity, data.x[at])}`;
    };
    const axis = (quantity, size) => ({
      stroke: colour('muted'),
      font: '12px system-ui, sans-serif',
      grid: { stroke: colour('rule'), width: 1 },
      ticks: { show: false },
      values: (_, splits) => marks(quantity, splits),
      size,
    });
    const dots = (stroke, fill) => ({
      paths: () => null,
      points: { show: true, size: 7, width: 1.5, stroke, fill },
    });
    const line = { stroke: colour('accent'), width: 2, spanGaps: true, points: { show: false } };
    const edge = { stroke: 'transparent', width: 0, spanGaps: true, points: { show: false } };
    return {
      width,
      height: HEIGHT,
      padding: [8, 22, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false } },
      scales: {
        x: {
          time: false,
          range: (_, low, high) => [low - 0.02 * (high - low), high + 0.02 * (high - low)],
        },
        y: {
          /* What hardly moves is not blown up to the whole height. */
          range: (_, low, high) => {
            const span = Math.max(high - low, 0.002 * Math.abs(high), Number.MIN_VALUE);
            const middle = (low + high) / 2;
            return [middle - 0.54 * span, middle + 0.54 * span];
          },
        },
      },
      axes: [
        { ...axis(data.xQuantity, 30), grid: { show: false }, space: 70 },
        { ...axis(data.quantity, 72), space: 40 },
      ],
      series: [
        {},
        edge,
        edge,
        line,
        data.joined ? { ...line, width: 1.75 } : { ...dots(colour('ink'), colour('ink')) },
        dots(colour('faint'), colour('surface')),
      ],
      bands: [{ series: [2, 1], fill: colour('band') }],
      hooks: { setCursor: [read] },
    };
  };

  const draw = (figure, data) => {
    const place = figure.querySelector('.draw');
    const output = figure.querySelector('output');
    const columns = [data.x, data.low, data.high, data.fit, data.points, data.aside];
    let chart = null;
    const make = () => {
      const width = place.clientWidth;
      if (chart) chart.destroy();
      chart = new uPlot(options(data, width, output), columns, place);
      place.classList.add('drawn');
    };
    make();
    on('theme', make);
    new ResizeObserver(() => {
      if (place.clientWidth && place.clientWidth !== chart.width) {
        chart.setSize({ width: place.clientWidth, height: HEIGHT });
      }
    }).observe(place);
  };

  const start = (data) => all('[data-plot]').forEach((figure) => draw(figure, data[figure.dataset.plot]));
  return { start };
})();
