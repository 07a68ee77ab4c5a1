/* What the page does beside showing: search, sort, keys, theme. Works on what
   stands in the document; a page without it shows the same. */
'use strict';
const Report = (() => {
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  /* Numbers as everywhere in rbleak: `1 500`, `2.3 kB`. */
  const grouped = (value) => String(Math.round(Math.abs(value))).replace(/\B(?=(\d{3})+$)/g, ' ');
  const scaled = (value) => {
    let size = Math.abs(value);
    if (size < 999.5) return `${Math.round(size)} B`;
    for (const unit of ['kB', 'MB', 'GB', 'TB']) {
      size /= 1000;
      if (size < 999.5 || unit === 'TB') return `${size.toFixed(size < 9.95 ? 1 : 0)} ${unit}`;
    }
    return '';
  };
  const words = (quantity, value) => {
    if (value === null || value === undefined) return '';
    const sign = value < 0 ? '-' : '';
    if (quantity === 'bytes') return sign + scaled(value);
    return sign + grouped(value) + (quantity === 'seconds' ? ' s' : '');
  };

  /* Marks of an axis: in one unit, with as many digits as tell them apart. */
  const marks = (quantity, values) => {
    if (quantity !== 'bytes' || values.length < 2) return values.map((value) => words(quantity, value));
    const most = Math.max(...values.map(Math.abs));
    const units = [[1e12, 'TB'], [1e9, 'GB'], [1e6, 'MB'], [1e3, 'kB'], [1, 'B']];
    const [factor, unit] = units.find(([size]) => most >= size) ?? [1, 'B'];
    const step = Math.abs(values[1] - values[0]) / factor;
    const digits = factor === 1 ? 0 : Math.min(6, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));
    return values.map((value) => `${(value / factor).toFixed(digits)} ${unit}`);
  };

  /* A colour of the style sheet as it is now; canvases know no variables. */
  const probe = element('span');
  const colour = (name) => {
    if (!probe.isConnected) { probe.hidden = true; document.body.append(probe); }
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };

  /* Whoever draws is told when the theme or the search changes. */
  const listeners = { theme: [], search: [] };
  const on = (what, listener) => listeners[what].push(listener);
  const tell = (what, value) => listeners[what].forEach((listener) => listener(value));

  const theme = () => {
    const root = document.documentElement;
    const wantsDark = matchMedia('(prefers-color-scheme: dark)');
    let kept = null;
    try { kept = localStorage.getItem('rbleak-theme'); } catch { /* a file may have no storage */ }
    if (kept === 'dark' || kept === 'light') root.dataset.theme = kept;
    const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : wantsDark.matches);
    const toggle = () => {
      root.dataset.theme = isDark() ? 'light' : 'dark';
      try { localStorage.setItem('rbleak-theme', root.dataset.theme); } catch { /* the same */ }
      tell('theme');
    };
    document.getElementById('theme').addEventListener('click', toggle);
    wantsDark.addEventListener('change', () => tell('theme'));
    return toggle;
  };

  /* Rows and findings that have all words of the question. */
  const search = () => {
    const input = document.getElementById('search');
    const status = document.getElementById('hits');
    const found = all('[data-find]').map((node) => ({ node, text: node.textContent.toLowerCase() }));
    const opened = new Set();
    const apply = () => {
      const asked = input.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
      const hits = (text) => asked.every((word) => text.includes(word));
      let count = 0;
      for (const { node, text } of found) {
        /* A row within a finding stays with its finding. */
        const isWithin = node.parentElement.closest('[data-find]') !== null;
        const shown = isWithin || hits(text);
        node.hidden = !shown;
        if (shown && !isWithin) count += 1;
      }
      for (const details of all('details.more')) {
        const isHit = asked.length > 0 && all('[data-find]', details).some((node) => !node.hidden);
        if (isHit && !details.open) { details.open = true; opened.add(details); }
        if (!asked.length && opened.delete(details)) details.open = false;
      }
      status.textContent = !asked.length ? '' : count === 1 ? '1 match' : `${count} matches`;
      tell('search', asked.length ? (text) => hits(text.toLowerCase()) : null);
    };
    input.addEventListener('input', apply);
    input.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      input.value = '';
      apply();
      input.blur();
    });
    return input;
  };

  const sortable = (table) => {
    const headings = all('thead th', table);
    const body = table.tBodies[0];
    const key = (row, column) => {
      const cell = row.cells[column];
      const text = cell.dataset.key ?? cell.textContent.trim();
      const number = text === '' ? NaN : Number(text);
      return Number.isNaN(number) ? text : number;
    };
    const compare = (a, b) => {
      if (typeof a === typeof b) return typeof a === 'number' ? a - b : a.localeCompare(b);
      return typeof a === 'number' ? -1 : 1;
    };
    headings.forEach((heading, column) => {
      const button = element('button', heading.textContent || 'name');
      button.type = 'button';
      heading.replaceChildren(button);
      button.addEventListener('click', () => {
        const before = heading.getAttribute('aria-sort');
        const isNumber = heading.classList.contains('num');
        const down = before ? before === 'ascending' : isNumber;
        headings.forEach((other) => other.removeAttribute('aria-sort'));
        heading.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        const rows = Array.from(body.rows).map((row) => ({ row, key: key(row, column) }));
        rows.sort((a, b) => (down ? compare(b.key, a.key) : compare(a.key, b.key)));
        body.append(...rows.map(({ row }) => row));
      });
    });
  };

  const copying = (button) => button.addEventListener('click', async () => {
    const code = button.parentElement.querySelector('pre');
    const select = () => {
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
    };
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = 'Copied';
    } catch {
      select();
      button.textContent = 'Selected';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });

  const keys = (input, toggleTheme) => {
    const help = document.getElementById('help');
    const showHelp = () => (help.open ? help.close() : help.showModal());
    document.getElementById('keys').addEventListener('click', showHelp);
    const cards = () => all('.card').filter((card) => !card.hidden);
    const step = (by) => {
      const shown = cards();
      if (!shown.length) return;
      const at = shown.findIndex((card) => card.contains(document.activeElement));
      const to = at < 0 ? (by > 0 ? 0 : shown.length - 1) : Math.min(Math.max(at + by, 0), shown.length - 1);
      const summary = shown[to].querySelector('summary');
      summary.focus({ preventScroll: true });
      summary.scrollIntoView({ block: 'start' });
    };
    document.addEventListener('keydown', (event) => {
      const typing = event.target.closest('input, textarea, [contenteditable]');
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      if (help.open && event.key !== '?') return;
      switch (event.key) {
        case '/': input.focus(); input.select(); break;
        case 'j': step(1); break;
        case 'k': step(-1); break;
        case 't': toggleTheme(); break;
        case '?': showHelp(); break;
        default: return;
      }
      event.preventDefault();
    });
  };

  const start = () => {
    const toggleTheme = theme();
    const input = search();
    all('table[data-sortable]').forEach(sortable);
    all('.copy').forEach(copying);
    keys(input, toggleTheme);
    /* A link to a finding opens it; print shows all. */
    const open = () => {
      const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
      if (target instanceof HTMLDetailsElement) target.open = true;
    };
    addEventListener('hashchange', open);
    open();
    addEventListener('beforeprint', () => all('details.card').forEach((card) => { card.open = true; }));
  };

  const data = () => JSON.parse(document.getElementById('data').textContent);
  return { all, element, words, marks, colour, on, start, data };
})();
