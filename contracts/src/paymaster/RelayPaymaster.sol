// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {IPaymaster} from "@account-abstraction/contracts/interfaces/IPaymaster.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {Budgets} from "./Budgets.sol";
import {DepositOwner} from "./DepositOwner.sol";

/// @title The paymaster of our own relayer keys
/// @notice Pays the gas of whatever operations a relayer key bundles, without a sponsor's signature: the cheap mode. The
/// customer's key has signed the fee with the rest of the call. With a utility named in the paymaster data, the cost is
/// charged to that utility's budget, and to its program's if one is named; without, the fee in the call is what makes up
/// for it.
/// @dev Trusts its relayer keys by `tx.origin`, each up to a gas price and a cost per operation. A call that such a key
/// sends to anything but the EntryPoint could be made to re-enter the EntryPoint with a stranger's operations, so these
/// keys send nothing but direct `handleOps`; the bill lane, refills and treasury use other keys. The deposit is kept
/// small and refilled often: it is what a stolen key can lose. No outside bundler accepts this mode; OpenVPPPaymaster is
/// for them, so that this one may read the clock: an operation falls on the UTC day of its block. Paymaster data: nothing,
/// or the utility (8 bytes) and its program (8, zero for none).
contract RelayPaymaster is IPaymaster, Budgets {
    /// @notice What a relayer key may spend.
    /// @param maxFeePerGasWei Highest gas price, in wei per gas, inclusive; zero for a key that is not trusted.
    /// @param maxCostWei Most that one operation may cost, in wei, inclusive.
    struct Allowance {
        uint96 maxFeePerGasWei;
        uint128 maxCostWei;
    }

    /// @notice Gas that `postOp` and the accounting around it use, charged to the budget beside what is measured.
    uint256 public constant POST_OP_GAS = 5_500;

    uint256 private constant DATA_OFFSET = 52;

    /// @notice What each relayer key may spend.
    mapping(address relayer => Allowance) public allowanceOf;

    /// @notice What a relayer key may spend was set.
    /// @param relayer The key.
    /// @param maxFeePerGasWei Highest gas price, in wei per gas; zero ends the trust.
    /// @param maxCostWei Most that one operation may cost, in wei.
    event AllowanceSet(address indexed relayer, uint96 maxFeePerGasWei, uint128 maxCostWei);

    /// @notice The transaction's sender is no relayer key, or the operation's price is above the key's allowance.
    /// @param relayer Sender of the transaction.
    /// @param feePerGasWei The operation's highest price, in wei per gas.
    /// @param limitWei The key's limit; zero for a key that is not trusted.
    error PriceNotAllowed(address relayer, uint256 feePerGasWei, uint256 limitWei);

    /// @notice The operation may cost more than the relayer key's allowance.
    /// @param costWei Most that it may cost, in wei.
    /// @param limitWei The key's limit.
    error CostNotAllowed(uint256 costWei, uint256 limitWei);

    /// @notice Paymaster data is neither nothing nor a utility and its program.
    /// @param length Of `paymasterAndData`, in bytes.
    error BadDataLength(uint256 length);

    /// @param entryPoint EntryPoint v0.8.
    /// @param owner Who funds, sets allowances and budgets, and withdraws.
    constructor(IEntryPoint entryPoint, address owner) DepositOwner(entryPoint, owner) {}

    /// @inheritdoc IPaymaster
    function validatePaymasterUserOp(PackedUserOperation calldata op, bytes32, uint256 maxCost)
        external
        onlyEntryPoint
        returns (bytes memory context, uint256 validationData)
    {
        Allowance memory allowance = allowanceOf[tx.origin];
        uint256 price = uint128(uint256(op.gasFees));
        if (price > allowance.maxFeePerGasWei || allowance.maxFeePerGasWei == 0) {
            revert PriceNotAllowed(tx.origin, price, allowance.maxFeePerGasWei);
        }
        if (maxCost > allowance.maxCostWei) revert CostNotAllowed(maxCost, allowance.maxCostWei);
        bytes calldata fields = op.paymasterAndData;
        if (fields.length != DATA_OFFSET) context = _reserveFor(fields, maxCost);
        return (context, 0);
    }

    /// @inheritdoc IPaymaster
    function postOp(PostOpMode, bytes calldata context, uint256 actualGasCost, uint256 actualUserOpFeePerGas)
        external
        onlyEntryPoint
    {
        (uint256 charged, uint256 reserved) = abi.decode(context, (uint256, uint256));
        uint256 cost = actualGasCost + POST_OP_GAS * actualUserOpFeePerGas;
        if (cost < reserved) {
            _giveBack(uint64(charged >> 192), uint64(charged >> 128), reserved - cost, uint128(charged));
        }
    }

    /// @notice Sets what a relayer key may spend.
    /// @param relayer The key.
    /// @param maxFeePerGasWei Highest gas price, in wei per gas; zero ends the trust.
    /// @param maxCostWei Most that one operation may cost, in wei.
    function setAllowance(address relayer, uint96 maxFeePerGasWei, uint128 maxCostWei) external onlyOwner {
        allowanceOf[relayer] = Allowance(maxFeePerGasWei, maxCostWei);
        emit AllowanceSet(relayer, maxFeePerGasWei, maxCostWei);
    }

    function _reserveFor(bytes calldata fields, uint256 maxCost) private returns (bytes memory) {
        if (fields.length != DATA_OFFSET + 16) revert BadDataLength(fields.length);
        uint256 named = uint128(bytes16(fields[DATA_OFFSET:]));
        uint256 day = block.timestamp / 1 days;
        _reserve(uint64(named >> 64), uint64(named), maxCost, day);
        return abi.encode((named << 128) | day, maxCost);
    }
}
