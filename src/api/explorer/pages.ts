/** The HTML of the explorers, and the policies under which browsers show it. */

type ExplorerKind = 'sandbox' | 'graphiql' | 'off';

interface ExplorerPage {
  readonly html: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** No other page may show this one in a frame, or change where it sends what is typed. */
const NOT_EMBEDDED = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
/** Pages may not use what the explorers do not need. */
const PERMISSIONS = 'camera=(), geolocation=(), microphone=(), payment=(), usb=()';

const SANDBOX_HOST = 'https://embeddable-sandbox.cdn.apollographql.com';
const SANDBOX_SCRIPT = `${SANDBOX_HOST}/_latest/embeddable-sandbox.umd.production.min.js`;

const ICON = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M6 25 11 8l5 11 5-11 5 17" fill="none" stroke="#3b4bc0" stroke-width="3.5" stroke-linecap="round" stroke-linejoin="round"/></svg>',
)}`;

/** The page for a browser that opens `/graphql`; undefined if the explorer is off. */
export function explorerPage(kind: ExplorerKind): ExplorerPage | undefined {
  if (kind === 'off') return undefined;
  return kind === 'sandbox' ? SANDBOX_PAGE : GRAPHIQL_PAGE;
}

function page(title: string, head: string, body: string, policy: string): ExplorerPage {
  const html = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${title}</title>
  <link rel="icon" href="${ICON}">
${head}
</head>
<body>
${body}
</body>
</html>`;
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': `${policy}; ${NOT_EMBEDDED}`,
    'permissions-policy': PERMISSIONS,
  };
  return { html, headers };
}

export const GRAPHIQL_PAGE = page(
  'Modelgraph explorer',
  '  <link rel="stylesheet" href="/graphiql/assets/graphiql.css">',
  `  <main id="explorer">Loading the explorer…</main>
  <script type="module" src="/graphiql/assets/graphiql.js"></script>`,
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; worker-src 'self' blob:",
);

const SANDBOX_PAGE = page(
  'Modelgraph: Apollo Sandbox',
  '  <link rel="stylesheet" href="/graphiql/assets/sandbox.css">',
  `  <header>
    <label>Examples <select id="examples" disabled><option value="" hidden>choose one…</option></select></label>
    <a id="built-in" href="/graphiql">Built-in explorer</a>
  </header>
  <main>
    <p id="waiting">Opening Apollo Sandbox… If it does not load within 3 seconds, the built-in explorer opens instead.</p>
    <div id="sandbox" data-script="${SANDBOX_SCRIPT}"></div>
  </main>
  <script type="module" src="/graphiql/assets/sandbox.js"></script>`,
  [
    "default-src 'self' https://*.apollographql.com",
    `script-src 'self' ${SANDBOX_HOST}`,
    "style-src 'self' 'unsafe-inline' https://*.apollographql.com",
    "img-src 'self' data: https://*.apollographql.com",
    "connect-src 'self' https://*.apollographql.com",
    'frame-src https://sandbox.embed.apollographql.com',
  ].join('; '),
);
