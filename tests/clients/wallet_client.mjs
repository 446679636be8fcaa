// viem's wallet actions, as they are, for a wallet that is kept on the server; only the proofs of RFC 9449 are made here.
import { createPublicClient, createWalletClient, encodeFunctionData, erc20Abi, http } from 'viem'
import { getCallsStatus, getCapabilities, sendCalls, waitForCallsStatus } from 'viem/actions'
import { grantPermissions } from 'viem/experimental'

const asked = JSON.parse(process.argv[2])
const { d, ...shared } = asked.key
const key = await crypto.subtle.importKey('jwk', { ...shared, d }, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
const encode = (value) => Buffer.from(value).toString('base64url')

async function proof () {
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: { kty: shared.kty, crv: shared.crv, x: shared.x, y: shared.y } }
  const ath = encode(await crypto.subtle.digest('SHA-256', Buffer.from(asked.token)))
  const claims = { jti: crypto.randomUUID(), htm: 'POST', htu: asked.wallet, iat: Math.floor(Date.now() / 1000), ath }
  const text = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(claims))}`
  const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, Buffer.from(text))
  return `${text}.${encode(signature)}`
}

const chain = {
  id: asked.chainId, name: 'test', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  rpcUrls: { default: { http: [asked.node] } }
}
const transport = http(asked.wallet, {
  retryCount: 0,
  onFetchRequest: async (_request, init) => ({
    ...init, headers: { ...init.headers, Authorization: `DPoP ${asked.token}`, DPoP: await proof() }
  })
})
const wallet = createWalletClient({ account: asked.address, chain, transport })
const told = {}
try {
  const granted = await grantPermissions(wallet, {
    expiry: asked.expiry,
    signer: { type: 'wallet' },
    permissions: [{
      type: 'erc20-token-transfer',
      data: { address: asked.stablecoin, ticker: 'USDX' },
      policies: [{ type: 'token-allowance', data: { allowance: BigInt(asked.allowance) } }],
      required: true
    }]
  })
  told.context = granted.permissionsContext
  told.allowance = granted.grantedPermissions[0].policies[0].data.allowance.toString()
} catch (error) {
  const refusal = error.walk((each) => each.code === 4100)
  told.consent = error.walk((each) => each.data)?.data ?? refusal?.data
  console.log(JSON.stringify(told))
  process.exit(0)
}
told.atomic = (await getCapabilities(wallet, { account: asked.address, chainId: chain.id })).atomic.status
const transfer = (units, to = asked.payee) => ({
  to: asked.stablecoin, data: encodeFunctionData({ abi: erc20Abi, functionName: 'transfer', args: [to, BigInt(units)] })
})
const sent = await sendCalls(wallet, {
  calls: [transfer(asked.units)], id: '0x5792', capabilities: { permissions: { context: told.context } }
})
told.id = sent.id
told.first = (await getCallsStatus(wallet, { id: sent.id })).status
const done = await waitForCallsStatus(wallet, { id: sent.id, pollingInterval: 200, timeout: 60_000 })
told.done = [done.status, done.statusCode, done.atomic, done.receipts.length, done.receipts[0].status]
const client = createPublicClient({ chain, transport: http(asked.node) })
told.mined = (await client.getTransactionReceipt({ hash: done.receipts[0].transactionHash })).status
told.refused = {}
const refusals = {
  payee: [transfer(asked.units, asked.stablecoin)], many: [transfer(1), transfer(2)], id: [transfer(asked.units - 10_000)]
}
for (const [name, calls] of Object.entries(refusals)) {
  try {
    await sendCalls(wallet, { calls, id: name === 'id' ? '0x5792' : undefined })
  } catch (error) {
    told.refused[name] = error.walk((each) => typeof each.code === 'number').name
  }
}
console.log(JSON.stringify(told))
