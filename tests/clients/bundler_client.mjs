// viem's bundler and paymaster clients and permissionless.js, as they are; only the account is described here.
import { createSmartAccountClient } from 'permissionless'
import { createPimlicoClient } from 'permissionless/clients/pimlico'
import {
  concat, createPublicClient, decodeFunctionData, encodeAbiParameters, encodeFunctionData, erc20Abi, getAddress, http,
  keccak256, parseAbi, parseAbiParameters
} from 'viem'
import {
  createBundlerClient, createPaymasterClient, entryPoint08Abi, entryPoint08Address, getUserOperationHash, toSmartAccount
} from 'viem/account-abstraction'
import { privateKeyToAccount, sign } from 'viem/accounts'
import { waitForCallsStatus } from 'viem/actions'

const asked = JSON.parse(process.argv[2])
const chain = {
  id: asked.chainId, name: 'test', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  rpcUrls: { default: { http: [asked.node] } }
}
const client = createPublicClient({ chain, transport: http(asked.node), pollingInterval: 100 })
const bundler = http(asked.bundler, { fetchOptions: { headers: { Authorization: `Bearer ${asked.key}` } } })
const BATCH = '0x0100000000000000000000000000000000000000000000000000000000000000'
const calls = parseAbiParameters('(address to, uint256 value, bytes data)[]')
const accountAbi = parseAbi(['function execute(bytes32 mode, bytes executionData)'])
const factoryAbi = parseAbi(['function createAccount(address owner, bytes32 salt)'])

async function openVppAccount ({ secret, salt }) {
  const owner = privateKeyToAccount(secret)
  const proxy = concat([asked.proxyHead, asked.implementation, asked.proxyTail, owner.address])
  const address = getAddress(`0x${keccak256(concat(['0xff', asked.factory, salt, keccak256(proxy)])).slice(26)}`)
  return toSmartAccount({
    client,
    entryPoint: { abi: entryPoint08Abi, address: entryPoint08Address, version: '0.8' },
    getAddress: async () => address,
    encodeCalls: async (list) => encodeFunctionData({
      abi: accountAbi,
      args: [BATCH, encodeAbiParameters(calls, [list.map(({ to, value, data }) => ({ to, value: value ?? 0n, data: data ?? '0x' }))])]
    }),
    decodeCalls: async (data) => decodeFunctionData({ abi: accountAbi, data }),
    getFactoryArgs: async () => ({
      factory: asked.factory, factoryData: encodeFunctionData({ abi: factoryAbi, args: [owner.address, salt] })
    }),
    getStubSignature: async () => concat(['0x00', `0x${'01'.repeat(64)}1b`]),
    signMessage: async () => { throw new Error('not asked for') },
    signTypedData: async () => { throw new Error('not asked for') },
    signUserOperation: async (operation) => {
      const hash = getUserOperationHash({
        chainId: chain.id, entryPointAddress: entryPoint08Address, entryPointVersion: '0.8',
        userOperation: { ...operation, sender: address }
      })
      return concat(['0x00', await sign({ hash, privateKey: secret, to: 'hex' })])
    }
  })
}

const transfer = (units, to = asked.payee) => ({
  to: asked.token, data: encodeFunctionData({ abi: erc20Abi, functionName: 'transfer', args: [to, units] })
})
const fees = createPimlicoClient({ transport: bundler, entryPoint: { address: entryPoint08Address, version: '0.8' } })
const userOperation = { estimateFeesPerGas: async () => (await fees.getUserOperationGasPrice()).standard }
const paymaster = createPaymasterClient({ transport: bundler })
const account = await openVppAccount(asked)
const bundlerClient = createBundlerClient({ account, client, chain, transport: bundler, paymaster, userOperation, pollingInterval: 100 })
const told = { account: account.address, chainId: await bundlerClient.getChainId() }
told.entryPoints = await bundlerClient.getSupportedEntryPoints()

const first = await bundlerClient.sendUserOperation({ calls: [transfer(1n)] })
const receipt = await bundlerClient.waitForUserOperationReceipt({ hash: first })
told.deployed = { success: receipt.success, code: (await client.getCode({ address: account.address })).length > 2 }
told.found = (await bundlerClient.getUserOperation({ hash: first })).userOperation.sender

const batch = await bundlerClient.sendUserOperation({ calls: [transfer(2n), transfer(3n)] })
told.batch = (await bundlerClient.waitForUserOperationReceipt({ hash: batch })).success

const draft = await bundlerClient.prepareUserOperation({ calls: [transfer(4n)] })
const hex = (n) => `0x${n.toString(16)}`
const quote = await bundlerClient.request({
  method: 'openvpp_getFeeQuote',
  params: [{ sender: account.address, nonce: hex(draft.nonce), callData: draft.callData, signature: await account.getStubSignature() }, entryPoint08Address, { token: asked.token }]
})
const paid = await bundlerClient.sendUserOperation({
  calls: [transfer(4n), transfer(BigInt(quote.units), quote.payee)],
  paymasterContext: { quote: quote.quote },
  maxFeePerGas: BigInt(quote.maxFeePerGas), maxPriorityFeePerGas: BigInt(quote.maxPriorityFeePerGas)
})
told.tokenPaid = (await bundlerClient.waitForUserOperationReceipt({ hash: paid })).success
told.feeUnits = Number(BigInt(quote.units))

const smart = createSmartAccountClient({ account, client, chain, bundlerTransport: bundler, paymaster, userOperation, pollingInterval: 100 })
const hash = await smart.sendTransaction({ calls: [transfer(5n)] })
told.permissionless = (await client.getTransactionReceipt({ hash })).status

const { id } = await smart.sendCalls({ calls: [transfer(6n)] })
told.sendCalls = (await waitForCallsStatus(smart, { id, pollingInterval: 100 })).status

try {
  await bundlerClient.sendUserOperation({ calls: [transfer(10n ** 30n)] })
} catch (error) {
  told.refused = error.walk((each) => each.code === -32521)?.code
}
console.log(JSON.stringify(told))
