/* The tree of what is within what: each node above what is within it, as wide
   as it is large. A click or Enter zooms; arrows move. */
const Icicle = (() => {
  const { all, element, words, on } = Report;
  const LEVEL = 26;
  const LEVELS = 9;
  /* Narrower than this, in pixels, a node is not shown. */
  const NARROWEST = 2;

  /* Nodes in preorder with their depth become nodes with parents, children and
     where they begin within the whole. */
  const link = (rows) => {
    const way = [];
    return rows.map(([depth, label, size, own, marked], index) => {
      const parent = way[depth - 1] ?? null;
      const node = { index, depth, label, size, own, marked, parent, children: [], from: 0, filled: 0 };
      if (parent) {
        node.from = parent.from + parent.filled;
        parent.filled += size;
        parent.children.push(node);
      }
      way.length = depth;
      way.push(node);
      return node;
    });
  };

  const draw = (figure, data) => {
    const nodes = link(data.nodes);
    if (!nodes.length || !(nodes[0].size > 0)) return;
    const place = figure.querySelector('.draw');
    const crumbs = figure.querySelector('.crumbs');
    const told = figure.querySelector('.told');
    const plane = element('div', undefined, 'icicle');
    plane.setAttribute('role', 'group');
    place.append(plane);
    place.classList.add('drawn');
    let top = nodes[0];
    let hits = null;
    let buttons = new Map();

    const share = (node) => `${(100 * node.size / nodes[0].size).toFixed(1)} %`;
    const tell = (node) => {
      told.textContent = `${node.label}: retains ${words(data.quantity, node.size)} (${share(node)}), ${words(data.quantity, node.own)} of its own`;
    };
    const ancestors = (node) => (node ? [...ancestors(node.parent), node] : []);

    const put = (node, wide) => {
      const above = node.depth < top.depth || node === top;
      const from = above ? 0 : (node.from - top.from) / top.size;
      const size = above ? 1 : node.size / top.size;
      if (size * wide < NARROWEST) return;
      const level = above ? node.depth - first : node.depth - first;
      const button = element('button', size * wide < 24 ? '' : node.label, `d${node.depth % 6}`);
      button.type = 'button';
      button.tabIndex = node === top ? 0 : -1;
      button.title = `${node.label} · ${words(data.quantity, node.size)}`;
      button.setAttribute('aria-label', `${node.label}, ${words(data.quantity, node.size)}, ${share(node)}`);
      button.style.left = `${100 * from}%`;
      button.style.width = `${100 * size}%`;
      button.style.top = `${level * LEVEL}px`;
      if (size * wide < 24) button.classList.add('tiny');
      if (node.marked) button.classList.add('marked');
      if (hits) button.classList.add(hits(node.label) ? 'hit' : 'dim');
      button.addEventListener('click', () => zoom(node));
      button.addEventListener('focus', () => tell(node));
      button.addEventListener('mouseenter', () => tell(node));
      buttons.set(node, button);
      plane.append(button);
      deepest = Math.max(deepest, level + 1);
    };
    let first = 0;
    let deepest = 0;

    const paint = () => {
      const wide = plane.clientWidth || place.clientWidth;
      /* Who looks at a node goes on looking at it, in a window of another size, too. */
      const looked = nodes.find((node) => buttons.get(node) === document.activeElement);
      plane.replaceChildren();
      buttons = new Map();
      /* What is above the top stands over it, so that there is a way back. */
      const above = ancestors(top);
      first = Math.max(0, top.depth - 2);
      deepest = 0;
      above.filter((node) => node.depth >= first).forEach((node) => put(node, wide));
      const within = (node) => node.children.forEach((child) => {
        if (child.depth - first >= LEVELS) return;
        put(child, wide);
        within(child);
      });
      within(top);
      plane.style.height = `${deepest * LEVEL}px`;
      crumbs.replaceChildren(...above.slice(0, -1).map((node) => {
        const button = element('button', node.label);
        button.type = 'button';
        button.addEventListener('click', () => zoom(node, true));
        return button;
      }), element('span', top.label));
      tell(top);
      if (looked) (buttons.get(looked) ?? buttons.get(top))?.focus({ preventScroll: true });
    };

    const zoom = (node, keepFocus) => {
      top = node === top && node.parent ? node.parent : node;
      paint();
      if (!keepFocus) buttons.get(top)?.focus({ preventScroll: true });
    };

    const move = (from, key) => {
      const siblings = from.parent ? from.parent.children.filter((node) => buttons.has(node)) : [from];
      const at = siblings.indexOf(from);
      switch (key) {
        case 'ArrowUp': return from.parent;
        case 'ArrowDown': return from.children.find((node) => buttons.has(node));
        case 'ArrowLeft': return siblings[at - 1];
        case 'ArrowRight': return siblings[at + 1];
        default: return undefined;
      }
    };
    plane.addEventListener('keydown', (event) => {
      const from = nodes.find((node) => buttons.get(node) === document.activeElement);
      if (!from) return;
      if (event.key === 'Escape') { zoom(nodes[0]); return; }
      if (!event.key.startsWith('Arrow')) return;
      const to = move(from, event.key);
      event.preventDefault();
      buttons.get(to)?.focus({ preventScroll: true });
    });

    paint();
    on('search', (asked) => { hits = asked; paint(); });
    let wide = place.clientWidth;
    new ResizeObserver(() => {
      /* Where there is no room nothing could be drawn, and who looks at a node
         would be lost. */
      if (!place.clientWidth || place.clientWidth === wide) return;
      wide = place.clientWidth;
      paint();
    }).observe(place);
  };

  const start = (data) => all('[data-tree]').forEach((figure) => draw(figure, data[figure.dataset.tree]));
  return { start };
})();

Report.start();
{
  const data = Report.data();
  Charts.start(data);
  Icicle.start(data);
}
