// A certified OpenID provider that is not ours: node provider.js CLIENTS.json
// It prints its issuer when it listens, and then a line of JSON for every request: what was asked, and why it was refused.

import { readFile } from 'node:fs/promises';
import http from 'node:http';
import Provider, { errors } from 'oidc-provider';

const ASTRAY = '/astray';
const TOKEN_LIFE = 600;
const MACHINE = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };

const clients = JSON.parse(await readFile(process.argv[2]));
const server = http.createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: clients.map((client) => ({ ...MACHINE, ...client })),
  clientAuthMethods: ['client_secret_post', 'private_key_jwt'],
  enabledJWA: { clientAuthSigningAlgValues: ['PS256', 'RS256'] },
  scopes: ['ledger.read'],
  ttl: { ClientCredentials: TOKEN_LIFE },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: { enabled: true, getResourceServerInfo: (_ctx, resource) => resourceServer(resource) },
  },
});
const provide = provider.callback();

// Beside itself it is a provider behind a proxy that tells another token endpoint than the provider knows.
server.on('request', (request, response) => {
  if (request.url === `${ASTRAY}/.well-known/openid-configuration`) {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ issuer, token_endpoint: `${issuer}${ASTRAY}/token` }));
    return;
  }
  request.url = request.url.replace(ASTRAY, '');
  provide(request, response);
});

provider.on('grant.success', ({ oidc }) => say({ client: oidc.client.clientId, ...asked(oidc) }));
provider.on('grant.error', ({ oidc }, error) => {
  say({ client: oidc.params?.client_id, ...asked(oidc), refused: error.error, why: detail(error) });
});
process.on('SIGTERM', () => process.exit(0));
console.log(issuer);

function asked({ params = {} }) {
  const part = (number) => JSON.parse(Buffer.from(params.client_assertion.split('.')[number], 'base64url'));
  const assertion = params.client_assertion && { header: part(0), claims: part(1) };
  return { resource: params.resource, scope: params.scope, assertion };
}

function resourceServer(resource) {
  if (new URL(resource).hostname.endsWith('.invalid')) throw new errors.InvalidTarget();
  return { audience: resource, scope: '', accessTokenFormat: 'jwt', accessTokenTTL: TOKEN_LIFE };
}

function detail(error) {
  return error.error_detail ?? error.cause?.message ?? error.error_description;
}

function say(what) {
  console.log(JSON.stringify(what));
}
