// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BillSessions} from "../account/BillSessions.sol";

/// @title The bill lane
/// @notice Carries many signed bill payments in one transaction without the EntryPoint. It unpacks each and hands it to
/// its account, which alone decides; a payment that its account refuses leaves its neighbours as they are.
/// @dev Holds nothing, is trusted by nobody, and anybody may call it. A bundle is: gas for each payment (3 bytes),
/// payee (20), token (20), fee token (20), and then for each payment: flags (1), account (20), key (20), limits per
/// payment, per period, in all and on the fee in the fee token (12 each), the policy's fifth word (32), reference (16),
/// amount (12), fee (12), deadline (5), and the signature: the key's r, s, v (65); those and the owner's leave (162) if
/// flagged as installing; or, if flagged as long, a length (2) and that many bytes as `SessionSignatures` reads them.
contract BillLane {
    /// @notice Flag of a payment whose fee is in the fee token.
    uint256 public constant IN_FEE_TOKEN = 1;

    /// @notice Flag of a payment that installs its session.
    uint256 public constant INSTALLS = 2;

    /// @notice Flag of a payment whose signature is preceded by its length: of a key or an owner on another curve.
    uint256 public constant LONG_SIGNATURE = 4;

    /// @notice Longest signature, in bytes.
    uint256 public constant MAX_SIGNATURE_LENGTH = 4096;

    uint256 private constant HEADER_LENGTH = 63;
    uint256 private constant BODY_LENGTH = 166;

    /// @notice A payment was refused by its account, or there is no account.
    /// @param index Place of the payment in the bundle, from zero.
    /// @param account The account.
    /// @param reason Selector of the account's error, or zero.
    event IntentRefused(uint256 indexed index, address indexed account, bytes4 reason);

    /// @notice The bundle ends in the middle of a payment.
    /// @param length Of the bundle, in bytes.
    error BundleCutShort(uint256 length);

    /// @notice A payment's signature is longer than any that an account accepts.
    /// @param index Place of the payment in the bundle, from zero.
    /// @param length Of the signature, in bytes.
    error SignatureTooLong(uint256 index, uint256 length);

    /// @notice The transaction has too little gas left to give a payment what the bundle promises each.
    /// @param index Place of the payment in the bundle, from zero.
    /// @param gasForEach Promised gas.
    error TooLittleGas(uint256 index, uint256 gasForEach);

    /// @notice Hands each payment of a bundle to its account.
    /// @param bundle Packed payments that share payee, token and fee token.
    function payBills(bytes calldata bundle) external {
        if (bundle.length < HEADER_LENGTH) revert BundleCutShort(bundle.length);
        uint256 gasForEach = uint24(bytes3(bundle));
        uint256 at;
        uint256 end;
        assembly ("memory-safe") {
            at := add(bundle.offset, HEADER_LENGTH)
            end := add(bundle.offset, bundle.length)
        }
        uint256 frame = _frame(bundle);
        for (uint256 index = 0; at < end; ++index) {
            uint256 signature = at + BODY_LENGTH;
            uint256 length = 65;
            assembly ("memory-safe") {
                let flags := byte(0, calldataload(at))
                if and(flags, INSTALLS) { length := 162 }
                if and(flags, LONG_SIGNATURE) {
                    length := shr(240, calldataload(signature))
                    signature := add(signature, 2)
                }
            }
            uint256 next = signature + length;
            if (next > end) revert BundleCutShort(bundle.length);
            if (length > MAX_SIGNATURE_LENGTH) revert SignatureTooLong(index, length);
            // A call gets at most 63/64 of what is left.
            if (gasleft() - gasleft() / 64 < gasForEach + 3_000) revert TooLittleGas(index, gasForEach);
            _pay(index, frame, at, signature, length, gasForEach);
            at = next;
        }
    }

    /// @dev Memory for the account's calldata, with what all payments share already in it.
    function _frame(bytes calldata bundle) private pure returns (uint256 frame) {
        bytes4 selector = BillSessions.payBillSigned.selector;
        assembly ("memory-safe") {
            frame := mload(0x40)
            mstore(0x40, add(frame, 4512))
            mstore(frame, selector)
            calldatacopy(add(frame, 36), add(bundle.offset, 3), 20)
            calldatacopy(add(frame, 68), add(bundle.offset, 23), 20)
            calldatacopy(add(frame, 100), add(bundle.offset, 43), 20)
            mstore(add(frame, 324), 0x160)
        }
    }

    function _pay(uint256 index, uint256 frame, uint256 at, uint256 signature, uint256 length, uint256 gasForEach)
        private
    {
        address account;
        bool done;
        bytes4 reason;
        assembly ("memory-safe") {
            account := shr(96, calldataload(add(at, 1)))
            // policy: key and limit, payee and limit, token and limit, fee token and limit, fifth word
            calldatacopy(add(frame, 4), add(at, 21), 32)
            calldatacopy(add(frame, 56), add(at, 53), 12)
            calldatacopy(add(frame, 88), add(at, 65), 12)
            calldatacopy(add(frame, 120), add(at, 77), 12)
            calldatacopy(add(frame, 132), add(at, 89), 32)
            // payment: reference, amount, fee, kind of fee; then the deadline
            mstore(add(frame, 164), and(calldataload(add(at, 121)), not(0xffffffffffffffffffffffffffffffff)))
            mstore(add(frame, 196), shr(160, calldataload(add(at, 137))))
            mstore(add(frame, 228), shr(160, calldataload(add(at, 149))))
            mstore(add(frame, 260), and(byte(0, calldataload(at)), IN_FEE_TOKEN))
            mstore(add(frame, 292), shr(216, calldataload(add(at, 161))))
            // signature
            mstore(add(frame, 356), length)
            calldatacopy(add(frame, 388), signature, length)
            done := call(gasForEach, account, 0, frame, add(388, length), 0, 4)
            reason := 0
            if and(iszero(done), gt(returndatasize(), 3)) {
                reason := and(mload(0), 0xffffffff00000000000000000000000000000000000000000000000000000000)
            }
        }
        if (!done || account.code.length == 0) emit IntentRefused(index, account, reason);
    }
}
