// Plays an application that uses the npm package `openid-client` as it is published. Lines of JSON go to the test and
// come back from it: {"authorize": url} asks for a browser, {"callback": url} is where that browser was sent.
import * as readline from 'node:readline'
import * as oauth from 'openid-client'

const [issuer, clientId, redirectUri, scope, details] = process.argv.slice(2)
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const tell = (message) => process.stdout.write(JSON.stringify(message) + '\n')
const hear = async () => JSON.parse((await lines.next()).value)

const config = await oauth.discovery(new URL(issuer), clientId, undefined, oauth.None(), {
  execute: [oauth.allowInsecureRequests],
})
const pkceCodeVerifier = oauth.randomPKCECodeVerifier()
const parameters = {
  redirect_uri: redirectUri,
  scope,
  code_challenge: await oauth.calculatePKCECodeChallenge(pkceCodeVerifier),
  code_challenge_method: 'S256',
  state: oauth.randomState(),
  nonce: oauth.randomNonce(),
}
const spends = details !== undefined
const options = spends ? { DPoP: oauth.getDPoPHandle(config, await oauth.randomDPoPKeyPair()) } : {}
if (spends) parameters.authorization_details = details
const url = spends
  ? await oauth.buildAuthorizationUrlWithPAR(config, parameters, options)
  : oauth.buildAuthorizationUrl(config, parameters)
tell({ authorize: url.href })

const tokens = await oauth.authorizationCodeGrant(
  config,
  new URL((await hear()).callback),
  { pkceCodeVerifier, expectedState: parameters.state, expectedNonce: parameters.nonce, idTokenExpected: true },
  undefined,
  options,
)
const call = async (token) =>
  (await oauth.fetchProtectedResource(config, token, new URL('/api/v1/me/', issuer), 'GET', undefined, undefined, options))
const me = await call(tokens.access_token)
const refreshed = await oauth.refreshTokenGrant(config, tokens.refresh_token, undefined, options)
const meAgain = await call(refreshed.access_token)
await oauth.tokenRevocation(config, refreshed.refresh_token)
let afterRevocation
try {
  afterRevocation = (await call(refreshed.access_token)).status
} catch (error) {
  afterRevocation = error.response?.status ?? error.status ?? String(error)
}
tell({
  token_type: tokens.token_type,
  refreshed_token_type: refreshed.token_type,
  authorization_details: tokens.authorization_details ?? null,
  claims: tokens.claims(),
  me: (await me.json()).email,
  me_again: meAgain.status,
  after_revocation: afterRevocation,
})
process.exit(0)
