// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Payouts in batches
/// @notice Pays many recipients from the caller's allowance, once per name: a batch sent twice pays once.
contract Payouts {
    /// @notice Whether a payer has used a name.
    mapping(address payer => mapping(bytes16 ref => bool)) public isPaid;

    /// @notice One recipient was paid.
    /// @param ref Name of the batch.
    /// @param payer Who paid.
    /// @param recipient Who was paid.
    /// @param token Token paid in.
    /// @param amount Base units of `token`.
    event PayoutMade(
        bytes16 indexed ref, address indexed payer, address indexed recipient, address token, uint256 amount
    );

    /// @notice A packed batch was paid; the token's own `Transfer` events say who got what.
    /// @param ref Name of the batch.
    /// @param payer Who paid.
    /// @param token Token paid in.
    /// @param count How many were paid.
    /// @param total Base units of `token` paid in all.
    event BatchPaid(bytes16 indexed ref, address indexed payer, address indexed token, uint256 count, uint256 total);

    /// @notice The payer has paid a batch of this name before.
    /// @param payer Who pays.
    /// @param ref Name of the batch.
    error AlreadyPaid(address payer, bytes16 ref);

    /// @notice Recipients and amounts don't pair up.
    /// @param recipients How many recipients.
    /// @param amounts How many amounts.
    error LengthsDiffer(uint256 recipients, uint256 amounts);

    /// @notice The token answered that it did not transfer, or is no token.
    /// @param token The token.
    error TokenRefused(address token);

    /// @notice A batch must pay somebody.
    error NobodyToPay();

    /// @notice Pays a batch; all of it or nothing.
    /// @param ref Name of the batch, used once by each payer.
    /// @param token Token to pay in; the caller has allowed this contract the sum.
    /// @param recipients Who is paid.
    /// @param amounts What each is paid, in base units.
    function payBatch(bytes16 ref, address token, address[] calldata recipients, uint256[] calldata amounts) external {
        if (recipients.length != amounts.length) revert LengthsDiffer(recipients.length, amounts.length);
        _use(ref, recipients.length);
        uint256 frame = _frame(msg.sender);
        for (uint256 i = 0; i < recipients.length; ++i) {
            _transfer(frame, token, recipients[i], amounts[i]);
            emit PayoutMade(ref, msg.sender, recipients[i], token, amounts[i]);
        }
    }

    /// @notice Pays a batch with the least gas; all of it or nothing.
    /// @param ref Name of the batch, used once by each payer, by either function.
    /// @param token Token to pay in; the caller has allowed this contract the sum.
    /// @param payments For each: recipient in the high 160 bits, amount in base units in the low 96.
    function payPacked(bytes16 ref, address token, bytes32[] calldata payments) external {
        _use(ref, payments.length);
        uint256 frame = _frame(msg.sender);
        uint256 total = 0;
        for (uint256 i = 0; i < payments.length; ++i) {
            uint256 payment = uint256(payments[i]);
            total += uint96(payment);
            _transfer(frame, token, address(uint160(payment >> 96)), uint96(payment));
        }
        emit BatchPaid(ref, msg.sender, token, payments.length, total);
    }

    function _use(bytes16 ref, uint256 count) private {
        if (count == 0) revert NobodyToPay();
        if (isPaid[msg.sender][ref]) revert AlreadyPaid(msg.sender, ref);
        isPaid[msg.sender][ref] = true;
    }

    /// @dev Calldata of `transferFrom(payer, recipient, amount)` with the payer in it, used for every recipient.
    function _frame(address payer) private pure returns (uint256 frame) {
        bytes4 selector = IERC20.transferFrom.selector;
        assembly ("memory-safe") {
            frame := mload(0x40)
            mstore(0x40, add(frame, 128))
            mstore(frame, selector)
            mstore(add(frame, 4), payer)
        }
    }

    /// @dev Refuses what the token refuses: by a revert, by answering false, by not being there.
    function _transfer(uint256 frame, address token, address recipient, uint256 amount) private {
        bool done;
        assembly ("memory-safe") {
            mstore(add(frame, 36), recipient)
            mstore(add(frame, 68), amount)
            done := call(gas(), token, 0, frame, 100, 0, 32)
            if iszero(done) {
                let free := mload(0x40)
                returndatacopy(free, 0, returndatasize())
                revert(free, returndatasize())
            }
            switch returndatasize()
            case 0 { done := gt(extcodesize(token), 0) }
            default { done := and(gt(returndatasize(), 31), eq(mload(0), 1)) }
        }
        if (!done) revert TokenRefused(token);
    }
}
